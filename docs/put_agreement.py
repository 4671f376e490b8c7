"""Puts the measured table into the pages that show it.

tox run -e tensorflow,torch,jax,numpy,openvino,agree
python docs/put_agreement.py
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = ROOT / ".outputs" / "agreement.md"
PAGES = (ROOT / "README.md", ROOT / "docs" / "agreement.md")
PLACE = re.compile(
    r"(<!-- agreement: begin -->\n).*?(<!-- agreement: end -->)", re.S
)


def main() -> None:
    if not TABLE.is_file():
        sys.exit(f"no {TABLE}: run the command above first")
    table = TABLE.read_text()
    for page in PAGES:
        text, places = PLACE.subn(
            lambda found: f"{found[1]}\n{table}\n{found[2]}", page.read_text()
        )
        if places != 1:
            sys.exit(f"{page}: {places} places for the table, and not one")
        page.write_text(text)


if __name__ == "__main__":
    main()
