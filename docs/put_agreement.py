"""Insert the measured table into the page that shows it.

tox run -e tensorflow,torch,jax,numpy,openvino,agree
python docs/put_agreement.py
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = ROOT / ".outputs" / "agreement.md"
PAGE = ROOT / "docs" / "agreement.md"
MARKERS = re.compile(
    r"(<!-- agreement: begin -->\n).*?(<!-- agreement: end -->)", re.S
)


def main() -> None:
    if not TABLE.is_file():
        sys.exit(f"{TABLE} does not exist: run the tox command first")
    table = TABLE.read_text()
    text, count = MARKERS.subn(
        lambda match: f"{match[1]}\n{table}\n{match[2]}", PAGE.read_text()
    )
    if count != 1:
        sys.exit(f"{PAGE}: expected one pair of markers; found {count}")
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
