"""What of kseq the tests of all backends together ran."""
