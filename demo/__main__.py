"""Start the servers, rotate three times in Vault, show what happens, take everything away."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from rich.console import Console

from demo.scene import Scene
from demo.story import Story
from tests.support.requirements import missing

ROTATIONS = 3


def main() -> NoReturn:
    """Run the demo; the exit code is 0 where every rotation was seen in every container."""
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
        story = Story(scene, console)
        for number in range(1, ROTATIONS + 1):
            story.rotate(number)
        story.close()
        sys.exit(not story.complete)
    except KeyboardInterrupt:
        console.print("Stopped.")
        sys.exit(1)
    finally:
        scene.close()


if __name__ == "__main__":
    main()
