#!/bin/sh
# sbom.sh IMAGE FOLDER TOOLS: writes FOLDER/sbom.cdx.json, the bill of materials of the Python packages
# that are in an image, in the form of CycloneDX. It looks at what is in the image, not at what should be.
# TOOLS is an environment with requirements/image.txt, which is removed at the end.
set -eu
image=$1 folder=$2 tools=$3 python=${PYTHON:-python3}

container=$(docker create "$image")
trap 'docker rm "$container" >/dev/null' EXIT
rm -rf "$folder/content"
docker cp "$container:/opt/vault-bridge" "$folder/content" >/dev/null

# The tool asks an environment's own interpreter for its path. This one is of another machine, and
# maybe of another version; the packages are only listed.
ours=$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))')
ln -sf "$ours" "$folder/content/bin/python"
printf 'home = %s\ninclude-system-site-packages = false\n' "$(dirname "$ours")" >"$folder/content/pyvenv.cfg"
version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
[ -e "$folder/content/lib/$version" ] || ln -s python3* "$folder/content/lib/$version"

unset PYTHONPATH
"$tools/bin/cyclonedx-py" environment --pyproject pyproject.toml --mc-type application \
	--output-reproducible --output-format JSON --output-file "$folder/sbom.cdx.json" \
	"$folder/content"
rm -rf "$folder/content" "$tools"
echo "$folder/sbom.cdx.json"
