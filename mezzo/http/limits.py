"""How much and how long one client may take. Sizes in bytes, times in seconds."""

from __future__ import annotations

from typing import Final

# ---- what a request may be

HEAD_MAX_BYTES: Final = 64 * 1024  # request line and fields together
FIELDS_MAX: Final = 100
BODY_MAX_BYTES: Final = 64 * 1024  # unless the server is told otherwise
CHUNK_LINE_MAX_BYTES: Final = 1024  # size and extensions
TRAILERS_MAX_BYTES: Final = 8 * 1024
# A body of the largest size in chunks of a kibibyte; smaller ones cost more time than they carry.
CHUNKS_MAX: Final = 16 * 1024

# ---- how long it may take

HEAD_S: Final = 10.0  # from the first byte (of a new connection: from its start) to the last
BODY_S: Final = 30.0  # and besides one second for each BODY_RATE_BYTES that have come
BODY_RATE_BYTES: Final = 256 * 1024
IDLE_S: Final = 75.0  # between two requests
WRITE_S: Final = 30.0  # to read what was sent, and besides one second for each WRITE_RATE_BYTES
WRITE_RATE_BYTES: Final = 64 * 1024
LINGER_S: Final = 2.0  # after a refusal, so that the client can read it before the end
SWEEP_S: Final = 0.5  # deadlines are looked at so often

# ---- what all of them together may take

CONNECTIONS_MAX: Final = 8192  # and at most half of the files that the process may open
STREAMS_SHARE: Final = 0.75  # of the connections may be streams without an end
# Bodies that have come and answers that were not read yet. One request of the largest size fits
# several times; thousands don't.
HELD_MAX_BYTES: Final = 128 * 1024 * 1024
QUEUE_MAX: Final = 2048  # whole requests that wait for a worker
RETRY_AFTER_S: Final = 1

# ---- answers

PIECE_BYTES: Final = 64 * 1024  # of a long answer: made when the last one has been read
POLL_S: Final = 0.25  # an answer that has nothing to say now is asked again after this
STREAM_MAX_FRAMES: Final = 1024  # not yet read; a client that is further behind is cut off
BURST_MAX_FRAMES: Final = 64 * 1024  # not yet sent, because we are late
STREAM_MAX_BYTES: Final = 8 * 1024 * 1024
STOP_S: Final = 1.0  # for the answers that are under way when the server stops
