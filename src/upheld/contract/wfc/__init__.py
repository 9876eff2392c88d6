"""Authentication files of Web Fuzzing Commons (WFC), which EvoMaster, Schemathesis and other fuzzers share: read and written."""

from upheld.contract.wfc.identities import Imported, import_identities, laid_over, texts_in

__all__ = ["Imported", "import_identities", "laid_over", "texts_in"]
