"""The words of docs/benchmarks.md that no measurement changes."""

INTRODUCTION = """\
Tensorgate beside other servers that run a SavedModel from Python, all on one machine: servers, load and model share its
cores. Absolute figures differ from machine to machine and from hour to hour; compare figures of one table only.

Every server gets the same SavedModel (a CNN of 28x28x1 images: two convolutions, two dense layers) and the same question, one
image a request, float32. Before a server is measured its answer is held against what the model says. The load is h2load's, with one
thread: REST on as many HTTP/1.1 connections as there are requests at a time, gRPC with up to 8 calls on a connection. After
each burst the size of all answers is held against that of a right one, for to h2load a refused gRPC call is a success; a burst
in which a request failed counts for nothing, and the table says why. In each round every server is started, warmed
up, measured and ended, and the order turns from round to round. Figures are medians of the rounds; in parentheses the lowest
and the highest.

To a load generator all requests of a burst are one message. Tensorgate knows gRPC messages by how they begin, whatever their
numbers are (docs/architecture.md, "Requests that recur"). Where each is of a new kind, as with an id of its own, it is parsed and
checked like the first: on a busy machine that made 1,015 answers a second of 1,508, 64 at a time.

`make bench` runs all of it and writes this page; `make bench BENCH_ARGS="--only peers --rounds 1 --seconds 2"` runs a part and
prints it; `python -m benchmarks --help` has the rest. `make bench-quick` measures this server alone.
`make profile PROFILE_ARGS="--protocol 'OIP REST'"` samples it under load and tells in which functions the time goes.
"""

RATIOS = "In short"
THROUGHPUT = "Answers a second"
LATENCY = "Latency under a closed loop"
OPEN_LOOP = "Latency at a fixed rate"
COSTS = "Processor time, memory, start"
LOOPS = "The model in a bare loop"
STREAMS = "Streams: messages a second"
STREAM_LATENCY = "Streams: latency of a message"
MODELS = "Other models: answers a second"
MODEL_LATENCY = "Other models: latency"
SIZE = "The size of a request"
CONCURRENCY = "Requests at a time"
COUNT = "The number of models"
DECODING = "JSON to arrays"
SOAK = "Memory over time"

ABOUT = {
    RATIOS: "Most are ratios of two medians of one run: above 1, Tensorgate does more.\n",
    THROUGHPUT: (
        "The empty handler is a grpc.aio server that answers without looking. A gateway stands in front of a backend that\n"
        "speaks TensorFlow Serving's gRPC API: a second Tensorgate, or a `tensorflow_model_server` where\n"
        "`TENSORGATE_TEST_MODEL_SERVER` names one; nginx forwards to the same by `grpc_pass`.\n"
    ),
    LATENCY: "So many requests at a time, each sent as soon as another was answered. p50 / p99 in milliseconds.\n",
    OPEN_LOOP: (
        "Requests leave at times of a Poisson process, whether earlier ones were answered or not, at half of what that server\n"
        "reached with the most requests at a time; latency counts from the time at which a request should have left. The load\n"
        "is our own (`benchmarks/open_loop_client.py`: asyncio, grpc.aio): its own delay is in the figures, and in the last\n"
        "column. Mind that the rates differ: a server with a higher capacity is asked more.\n"
    ),
    COSTS: (
        "Of the server's process with all its descendants: processor time during a burst by the number of its requests; memory\n"
        "(PSS) after the first answer and after all bursts; the time from its start to its first right answer, TensorFlow's\n"
        "import among it. Of a gateway, without what is behind it; its start counts from when the backend is ready.\n"
    ),
    LOOPS: (
        "Images a second of the SavedModel called from Python without any server: as the function that `tf.saved_model.load`\n"
        "gives, and as a prepared call of a session, which is how Tensorgate calls it.\n"
    ),
    STREAMS: (
        "h2load cannot drive a stream message by message, so both kinds of calls have a load generator of our own here\n"
        "(`benchmarks/stream_client.py`, grpc.aio): up to 8 messages under way on each connection. It needs as much of a core as\n"
        "a server does, so these figures are lower than they could be. Where it says so, h2load sends calls of 64 messages at once,\n"
        "one call after the other.\n"
    ),
    STREAM_LATENCY: "From when a message is written until its answer is read; of calls by h2load, of the whole call.\n",
    MODELS: (
        "The classifier is asked about a PNG, the forecaster about a series, by the typed API; the other one is a CNN of\n"
        "224x224x3 images with little work in it, so that most of the cost is the 600 kB (gRPC) or 1.1 MB (JSON) of a request.\n"
    ),
    SIZE: "A model that adds up a row of numbers: next to no work, whatever the size. gRPC carries them as bytes.\n",
    CONCURRENCY: (
        "The small CNN. `--max-queue-size 1024 --max-requests-in-flight 1024` here: by default at most 256 requests wait for\n"
        "a model, and of 512 at a time some would be refused, to be tried again.\n"
    ),
    DECODING: (
        "The body of a request of the Open Inference Protocol's REST API to arrays, with all checks, beside `orjson.loads` and\n"
        "`numpy.asarray` with none; the best of many runs.\n"
    ),
    SOAK: "The small CNN, requests of all four standard protocols in turn, 64 at a time.\n",
    COUNT: (
        "Copies of the small CNN under different names in one server, asked in turn over TensorFlow Serving's REST API, 64\n"
        "requests at a time. Requests for different models cannot be merged.\n"
    ),
}

_SET_UP = """\
## How each was set up

Each peer has an environment of its own, `.venv-peers/NAME`, from pinned requirements (`requirements/peers`), with the same
TensorFlow on {python}, and a script that starts it, `benchmarks/peers/serve_NAME.py`. {call}

| server | set up |
| --- | --- |
| Tensorgate | its defaults, `--log-level warning` |
| Triton | PyTriton, Python backend; dynamic batcher: 64 rows, at most 1 ms |
| MLServer | a runtime of its own kind; adaptive batching: 64 rows, at most 2 ms; one process |
| KServe | a model on its SDK, which has no batching; its access log off |
| BentoML | a batchable API: 64 rows, its own adaptive window; one worker; its access log off |
| LitServe | an API with batching: 64 rows, at most 2 ms; one API process, one worker |
| nginx | `grpc_pass` with kept connections, a worker for each core |
"""
_CALLS = {
    "function": (
        "They call the SavedModel as TensorFlow's\nand their own documents show it: the function that `tf.saved_model.load` "
        "gives. Tensorgate calls it by a session, which costs\nless; `--peers-call session` gives the peers the same call."
    ),
    "session": "They call the SavedModel\nas Tensorgate does, by a prepared call of a session, which costs less than what their documents show.",
}


def set_up(peers_call: str, python: str) -> str:
    """Returns how each server was set up, and on which Python."""
    return _SET_UP.format(call=_CALLS[peers_call], python=python)
