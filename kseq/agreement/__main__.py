"""`python -m kseq.agreement compare`; `kseq-agreement` starts faster."""

from pytest_kseq import main

if __name__ == "__main__":
    raise SystemExit(main())
