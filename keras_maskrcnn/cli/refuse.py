"""What `maskrcnn train` looks at before it begins: a quick check of its dataset."""

from collections.abc import Sequence

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.records import Record
from keras_maskrcnn.diagnostics.dataset.check import check_dataset
from keras_maskrcnn.diagnostics.dataset.issues import grouped


def refuse_errors(
    records: Sequence[Record], config: Config, validation: Sequence[Record] | None = None
) -> None:
    """Print the warnings of a quick check of what is to be trained on.

    Raises:
        ValueError: the check finds errors; the message has the first.
    """
    report = check_dataset(records, config, validation=validation, quick=True)
    for (severity, kind), issues in grouped(report.issues).items():
        if severity == "error":
            more = f" (and {report.count('error') - 1} more errors)" if report.count("error") > 1 else ""
            raise ValueError(f"{issues[0]}{more}; `maskrcnn check` lists all that is wrong with the dataset")
        if severity == "warning":
            more = f" (and {len(issues) - 1} more)" if len(issues) > 1 else ""
            print(f"Warning: {kind}: {issues[0]}{more}")
