"""Models as files of other runtimes, each run there and compared.

`export` writes one, `check` looks at one that is there.
"""

from kseq.export.compare import check as check
from kseq.export.compare import export as export
from kseq.export.report import ExportError as ExportError
from kseq.export.report import Report as Report
