"""`data list` and `data export`."""

from supsup_cli.data import catalog
from supsup_cli.data.export import export_images
from supsup_cli.data.reading import DEFAULT, Reading
from supsup_cli.workflows.results.data import DataExportResult, DataForm, DataListResult


def data_list() -> DataListResult:
    """List the names that `--data` understands."""
    return DataListResult(
        tuple(
            DataForm(one.form, one.meaning, one.classes, one.train, one.test, one.needs_root)
            for one in catalog.known()
        )
    )


def data_export(
    name: str,
    folder: str,
    *,
    split: str,
    limit: int | None,
    seed: int,
    reading: Reading = DEFAULT,
) -> DataExportResult:
    """Write images of a data set as FOLDER/CLASS/NNNNN.png.

    Raises:
        UsageError: unknown data or split, or files with other content in the way.
        StorageError: a file cannot be written.
    """
    return DataExportResult(tuple(export_images(name, folder, split, limit, seed, reading)))
