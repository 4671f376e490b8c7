"""What the project's metadata says where it is known where the project lives.

On an index README's links, of this checkout, lead nowhere. A release on GitHub
says which repository and tag it is made of: then they are whole addresses, and
the project's own stand beside them.
"""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

# A link of Markdown whose target is no address and no place of the page.
RELATIVE = re.compile(r"(?<=\]\()(?!https?:|#)")


class Published(MetadataHookInterface):
    def update(self, metadata: dict[str, Any]) -> None:
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["urls"] = {}
        if repository := os.environ.get("GITHUB_REPOSITORY"):
            server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
            address = f"{server}/{repository}"
            files = (
                f"{address}/blob/{os.environ.get('GITHUB_REF_NAME', 'HEAD')}"
            )
            text = RELATIVE.sub(f"{files}/", text)
            metadata["urls"] = {
                "Source": address,
                "Documentation": f"{files}/docs/index.md",
                "Changelog": f"{files}/CHANGELOG.md",
                "Issues": f"{address}/issues",
            }
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
