"""A whole episode over the Python SDK."""

import asyncio
import json
import sys

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main(command: str, folder: str) -> None:
    server = StdioServerParameters(command=command, args=["--path", folder, "mcp"])
    async with Client(stdio_client(server)) as client:

        async def call(name: str, **arguments):
            result = await client.call_tool(name, arguments)
            assert not result.is_error, result
            return result.structured_content

        names = [tool.name for tool in (await client.list_tools()).tools]
        assert names == ["complete", "explain", "feedback", "log", "recall", "start"], names
        episode = (await call("start", task="Sweep the yard"))["episode"]
        assert (await call("log", episode=episode, tool="broom", result="clean"))["step"] == 1
        done = await call("complete", episode=episode, outcome="success", summary="swept")
        assert done["steps"] == 1, done
        recalled = await call("recall", text="Sweep the yard")
        assert recalled["known"] and "broom" in recalled["text"], recalled
        read = await client.read_resource(f"memory://episode/{episode}")
        assert json.loads(read.contents[0].text)["episode"]["outcome"]["verdict"] == "success"
    print("Python SDK: a whole episode")


asyncio.run(main(*sys.argv[1:]))
