"""Metadata of published packages: project URLs and README with absolute links.

README's links are relative to the checkout and would be broken on PyPI. In a
release on GitHub the environment has the repository and the tag, so that the
links can be made absolute and the project's URLs added.
"""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

# The start of a Markdown link's target that is neither a URL nor an anchor.
RELATIVE_TARGET = re.compile(r"(?<=\]\()(?!https?:|#)")


class Published(MetadataHookInterface):
    def update(self, metadata: dict[str, Any]) -> None:
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["urls"] = {}
        if repository := os.environ.get("GITHUB_REPOSITORY"):
            server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
            url = f"{server}/{repository}"
            revision = os.environ.get("GITHUB_REF_NAME", "HEAD")
            files = f"{url}/blob/{revision}"
            text = RELATIVE_TARGET.sub(f"{files}/", text)
            metadata["urls"] = {
                "Source": url,
                "Documentation": f"{files}/docs/index.md",
                "Changelog": f"{files}/CHANGELOG.md",
                "Issues": f"{url}/issues",
            }
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
