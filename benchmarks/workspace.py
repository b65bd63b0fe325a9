"""What a run needs on disk: models, questions; and from them the servers that are compared."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import exporting
from benchmarks.models import LARGE, SMALL, Example
from benchmarks.options import Options
from benchmarks.questions import (
    OIP_REST,
    OIP_RPC,
    TFS_REST,
    TFS_RPC,
    Question,
    ask_bentoml,
    ask_in_all,
    ask_litserve,
)
from benchmarks.servers import BACKEND_ALONE, EMPTY, GATEWAY, NGINX, PEERS, TENSORGATE, Server, Starter


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder with everything in it.

    Attributes:
        folder: Of questions and logs.
        models: The models folder with the small model alone.
        large_models: The one with the large model alone.
        small: What the small model is asked.
        ask: The same in each standard protocol.
        ask_large: The large model likewise.
    """

    folder: Path
    models: Path
    large_models: Path
    small: Example
    ask: dict[str, Question]
    ask_large: dict[str, Question]

    @classmethod
    def made(cls, folder: Path) -> "Workspace":
        """Exports the models and writes the questions."""
        small_models, large_models, questions = folder / "small", folder / "large", folder / "questions"
        questions.mkdir()
        small, large = exporting.save_small(small_models), exporting.save_large(large_models)
        return cls(
            folder=folder,
            models=small_models,
            large_models=large_models,
            small=small,
            ask=ask_in_all(SMALL, small, questions),
            ask_large=ask_in_all(LARGE, large, questions),
        )

    @property
    def starter(self) -> Starter:
        """Starts servers of the small model."""
        return Starter(self.folder, self.models)

    def servers(self, options: Options) -> list[Server]:
        """Returns those that the options ask for."""
        chosen = [server for server in self._all(options) if server.group in options.groups]
        if options.servers:
            chosen = [server for server in chosen if any(word in server.name.lower() for word in options.servers)]
        return chosen

    def _all(self, options: Options) -> list[Server]:
        start = self.starter
        everything = tuple(self.ask.values())
        rpc = self.ask[TFS_RPC]
        empty = Question("gRPC", rpc.path, rpc.body, True, rpc.read, None)
        servers = [
            Server(EMPTY, "limits", (empty,), start.empty_handler),
            Server(TENSORGATE, "tensorgate", everything, start.tensorgate),
        ]
        standard = (self.ask[OIP_RPC], self.ask[OIP_REST])
        own = {
            "bentoml": (ask_bentoml(self.small, self.folder),),
            "litserve": (ask_litserve(self.small, self.folder),),
        }
        for key, name in PEERS.items():
            servers.append(Server(name, "peers", own.get(key, standard), partial(start.peer, key, options.peers_call)))
        through = (rpc, self.ask[OIP_RPC], self.ask[TFS_REST], self.ask[OIP_REST])
        return [
            *servers,
            Server(BACKEND_ALONE, "gateway", (rpc,), partial(start.backend, rpc)),
            Server(NGINX, "gateway", (rpc,), partial(start.nginx, rpc)),
            Server(GATEWAY, "gateway", through, partial(start.gateway, rpc)),
        ]
