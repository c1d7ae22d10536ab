"""An upstream that answers as the providers do, to the real credential alone.

Prints its port, then serves until it is killed.
"""

import asyncio
import json
import sys

from aiohttp import WSCloseCode, web

REAL = sys.argv[1]
PHANTOM = sys.argv[2]


@web.middleware
async def only_the_real_credential(request, handler):
    text = json.dumps(list(request.headers.items())) + request.path_qs
    if PHANTOM in text:
        return web.json_response({"error": "a phantom came through"}, status=500)
    if REAL not in request.headers.get("authorization", ""):
        return web.json_response({"error": {"message": "no credential"}}, status=401)
    return await handler(request)


async def chat(request):
    body = await request.json()
    if not body.get("stream"):
        return web.json_response({
            "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop",
                         "message": {"role": "assistant", "content": "hello world"}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        })
    return await events(request, [
        (None, {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                "choices": [{"index": 0, "delta": {"content": word}}]})
        for word in ("hello", " ", "world")
    ], "data: [DONE]\n\n")


async def messages(request):
    body = await request.json()
    message = {"id": "m1", "type": "message", "role": "assistant", "model": "m",
               "stop_reason": None, "stop_sequence": None,
               "usage": {"input_tokens": 1, "output_tokens": 1}}
    if not body.get("stream"):
        return web.json_response(
            message | {"stop_reason": "end_turn",
                       "content": [{"type": "text", "text": "hello world"}]})
    deltas = [("content_block_delta", {"type": "content_block_delta", "index": 0,
                                       "delta": {"type": "text_delta", "text": word}})
              for word in ("hello", " ", "world")]
    return await events(request, [
        ("message_start", {"type": "message_start", "message": message | {"content": []}}),
        ("content_block_start", {"type": "content_block_start", "index": 0,
                                 "content_block": {"type": "text", "text": ""}}),
        *deltas,
        ("content_block_stop", {"type": "content_block_stop", "index": 0}),
        ("message_delta", {"type": "message_delta", "usage": {"output_tokens": 3},
                           "delta": {"stop_reason": "end_turn", "stop_sequence": None}}),
        ("message_stop", {"type": "message_stop"}),
    ])


async def events(request, said, last=""):
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for name, data in said:
        head = f"event: {name}\n" if name else ""
        await response.write(f"{head}data: {json.dumps(data)}\n\n".encode())
        await asyncio.sleep(0.05)
    await response.write(last.encode())
    return response


async def upload(request):
    received = 0
    async for chunk in request.content.iter_any():
        received += len(chunk)
    return web.json_response({"bytes": received,
                              "chunked": "chunked" in request.headers.get("transfer-encoding", "")})


async def websocket(request):
    socket = web.WebSocketResponse(protocols=("chat",), compress=True)
    await socket.prepare(request)
    async for message in socket:
        if message.data == "bye":
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"as you wish")
        else:
            await socket.send_str(f"echo {message.data}")
    return socket


async def main():
    app = web.Application(middlewares=[only_the_real_credential], client_max_size=2**30)
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_post("/v1/messages", messages)
    app.router.add_post("/upload", upload)
    app.router.add_get("/ws", websocket)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
