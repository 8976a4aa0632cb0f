"""Start the servers, then either tell the story of three rotations or hand them to a shell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import click
from rich.console import Console

from demo.scene import Scene
from demo.story import Story
from tests.support.requirements import missing

ROTATIONS = 3


@click.command()
@click.option("--shell", is_flag=True, help="Open a shell on the servers in place of the story.")
def main(*, shell: bool) -> None:
    """Show three rotations; the exit code is 0 where every container was seen to read each."""
    console = Console(highlight=False)
    problems = missing(engine=not os.environ.get("DOCKER_HOST"))
    if problems:
        console.print("The demo's servers cannot run here yet:")
        for problem in problems:
            console.print(f"  - {problem}")
        sys.exit(2)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    scene = Scene(console)
    try:
        scene.set_up()
        code = _shell(scene, console) if shell else _story(scene, console)
    except KeyboardInterrupt:
        console.print("Stopped.")
        code = 1
    finally:
        scene.close()
    sys.exit(code)


def _story(scene: Scene, console: Console) -> int:
    scene.write_config()
    story = Story(scene=scene, console=console)
    for number in range(1, ROTATIONS + 1):
        story.rotate(number)
    story.close()
    return 0 if story.complete else 1


def _shell(scene: Scene, console: Console) -> int:
    console.print("`vault`, `docker` and `vault-bridge` speak to these servers until you `exit`.")
    # Ctrl-C is for what runs in the shell; a signal that is ignored would be so there too.
    signal.signal(signal.SIGINT, lambda *_: None)
    shell = os.environ.get("SHELL", "/bin/sh")
    subprocess.run([shell], cwd=scene.folder, env=scene.environ(), check=False)
    return 0


if __name__ == "__main__":
    main()
