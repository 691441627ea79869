"""50,000 pictures to Examples; `--set ImageFolderExampleGen.input=...` says which."""

from components import ImageFolderExampleGen
from pipeline import Pipeline


def create_pipeline() -> Pipeline:
    """One node."""
    return Pipeline("pictures", [ImageFolderExampleGen(input="pictures")])
