"""Where Chromium is and how it is started, for `tools/pdf.py` and `tests/book`."""

import os
import shutil

from playwright.sync_api import Browser, Playwright

#: What Debian, Ubuntu, Fedora and GitHub's runners call it.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def executable(own: str = "") -> str:
    """Return the path of a Chromium: `CHROMIUM`, then one on the PATH, then Playwright's.

    Args:
        own: Where Playwright keeps the one that it downloads.

    Raises:
        FileNotFoundError: There is none, or `CHROMIUM` names none; says what to do.
    """
    if named := os.environ.get("CHROMIUM"):
        if not (found := shutil.which(named)):
            raise FileNotFoundError(f"CHROMIUM={named}: no program; name a Chromium, or unset it")
        return found
    if found := next(filter(None, map(shutil.which, (*NAMES, own))), None):
        return found
    raise FileNotFoundError(
        f"no Chromium: none of {', '.join(NAMES)} on the PATH, and none of Playwright's own. "
        "Install one (on Debian: apt install chromium; anywhere: .venv/bin/playwright install "
        "chromium), or name it with CHROMIUM=/path/to/chromium"
    )


def launch(play: Playwright, *arguments: str) -> Browser:
    """Start a headless Chromium.

    Args:
        play: Playwright.
        *arguments: Of Chromium's command line.

    Raises:
        FileNotFoundError: See `executable`.
    """
    # Without a sandbox, which containers and root do not have: it opens our own pages alone.
    return play.chromium.launch(
        executable_path=executable(play.chromium.executable_path), args=["--no-sandbox", *arguments]
    )
