"""What a run shows while it works: steps, epochs, and tables; plain lines where there is no terminal."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


@dataclasses.dataclass(frozen=True, slots=True)
class Display:
    """Where a run shows what it is doing."""

    console: Console

    def silent(self) -> Self:
        """One that shows nothing."""
        return dataclasses.replace(self, console=Console(quiet=True))

    def step(self, text: str) -> None:
        """Announces the next step."""
        self.console.print(f"[bold]>[/bold] {text}", highlight=False)

    def note(self, text: str) -> None:
        """Shows one plain line, or a block of them, as it is."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def warning(self, text: str) -> None:
        """Shows one line that should not be missed."""
        self.console.print(f"[bold yellow]warning:[/bold yellow] {escape(text)}", highlight=False, soft_wrap=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Shows a table, the first column left- and the others right-aligned."""
        table = Table(title=title, title_justify="left")
        for position, column in enumerate(columns):
            table.add_column(column, justify="right" if position else "left")
        for row in rows:
            table.add_row(*row)
        self.console.print(table)

    def summary(self, model: Any) -> None:
        """Shows the layers of a Keras model."""
        model.summary(print_fn=self.note, line_length=min(self.console.width, 100))

    @contextlib.contextmanager
    def epochs(self, total: int) -> Iterator[Any]:
        """Shows the epochs of one training go by.

        Args:
            total: the most epochs there can be.

        Yields:
            The Keras callback that moves the display.
        """
        progress = Progress(
            TextColumn("  epoch"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self.console,
        )
        with progress:
            task = progress.add_task("", total=total)

            def advance(epoch: int, logs: Mapping[str, float] | None = None) -> None:
                figures = "  ".join(
                    f"{name} {value:.4f}" for name, value in sorted((logs or {}).items()) if "loss" in name
                )
                progress.update(task, completed=epoch + 1, description=figures)

            yield _epoch_callback(advance)


def _epoch_callback(advance: Any) -> Any:
    import keras

    return keras.callbacks.LambdaCallback(on_epoch_end=advance)
