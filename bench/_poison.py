"""A framework that subscribes and resets its stream, RATE times a second: for `bench/scale.py`.

python bench/_poison.py HOST:PORT RATE
"""

import asyncio
import sys

import grpc.aio

from mezzo.frameworks.sdk import framework_info
from mezzo.messages.scheduler import Subscribe
from mezzo.wire import scheduler as wire
from mezzo.wire.v1 import scheduler_pb2_grpc

RESET_AFTER_S = 0.05


async def once(stub: scheduler_pb2_grpc.SchedulerStub) -> None:
    call = stub.Subscribe()
    try:
        (batch,) = wire.calls_to_wire([Subscribe(framework_info("poison"))], None)
        await call.write(batch)
        async with asyncio.timeout(RESET_AFTER_S):
            await call.read()
    except (grpc.aio.AioRpcError, TimeoutError):
        pass  # refused, or made to wait: that is what a master may do with it
    finally:
        call.cancel()


async def main(target: str, rate: float) -> None:
    async with grpc.aio.insecure_channel(target) as channel:
        stub = scheduler_pb2_grpc.SchedulerStub(channel)  # type: ignore[no-untyped-call]
        loop = asyncio.get_running_loop()
        at_s = loop.time()
        running: set[asyncio.Task[None]] = set()
        while True:
            task = asyncio.create_task(once(stub))
            running.add(task)
            task.add_done_callback(running.discard)
            at_s += 1 / rate
            await asyncio.sleep(at_s - loop.time())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
