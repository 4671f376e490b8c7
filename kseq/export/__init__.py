"""Export models to other runtimes, and compare each file with its model."""

from kseq.export.compare import check as check
from kseq.export.compare import export as export
from kseq.export.report import ExportError as ExportError
from kseq.export.report import Report as Report
