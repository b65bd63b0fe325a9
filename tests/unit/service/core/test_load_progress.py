"""Progress of a loading: its stages, and how far each is."""

from service.core.load_progress import LoadProgress


def test_a_stage_counts_from_its_own_beginning() -> None:
    progress = LoadProgress()
    assert progress.told()["done"] is None
    progress.enter("comparing", "bytes", done=0, total=10)
    progress.advance(4)
    progress.advance(6)
    told = progress.told()
    assert (told["stage"], told["done"], told["total"], told["unit"]) == ("comparing", 10, 10, "bytes")
    progress.enter("reading", "bytes", total=7)
    assert (progress.told()["done"], progress.told()["total"]) == (None, 7)
    progress.enter("warming up")
    assert (progress.told()["done"], progress.told()["total"], progress.told()["unit"]) == (None, None, "")
