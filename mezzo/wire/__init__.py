"""The network: generated protobuf code, its conversion to records, gRPC."""

import os

# gRPC's C core tells of every closed connection on stderr; what matters we log ourselves.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
