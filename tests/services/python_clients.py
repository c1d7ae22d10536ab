"""Real clients on the broker's socket, holding the phantom alone. Prints each claim that held."""

import asyncio
import sys
import time

import aiohttp
import anthropic
import httpx
import openai
import websockets

try:  # what the newer SDKs are built on
    import httpx2
except ImportError:
    httpx2 = httpx

SOCKET = sys.argv[1]
PHANTOM = sys.argv[2]
BASE = "http://localhost"
MESSAGE = [{"role": "user", "content": "hi"}]


def transport():
    return httpx.HTTPTransport(uds=SOCKET)


def spread(moments):
    """Whether pieces came one by one, and not all at the end."""
    return moments[-1] - moments[0] > 0.06


def sdk(client, **settings):
    """A client of either generation, on the socket."""
    try:
        http = httpx2.Client(transport=httpx2.HTTPTransport(uds=SOCKET))
        return client(http_client=http, max_retries=0, **settings)
    except TypeError:
        http = httpx.Client(transport=transport())
        return client(http_client=http, max_retries=0, **settings)


def openai_sdk():
    client = sdk(openai.OpenAI, api_key=PHANTOM, base_url=f"{BASE}/v1")
    answer = client.chat.completions.create(model="m", messages=MESSAGE)
    assert answer.choices[0].message.content == "hello world", answer
    words, moments = [], []
    for chunk in client.chat.completions.create(model="m", messages=MESSAGE, stream=True):
        words.append(chunk.choices[0].delta.content)
        moments.append(time.monotonic())
    assert "".join(words) == "hello world" and spread(moments), (words, moments)


def anthropic_sdk(**credential):
    client = sdk(anthropic.Anthropic, base_url=BASE, **credential)
    answer = client.messages.create(model="m", max_tokens=9, messages=MESSAGE)
    assert answer.content[0].text == "hello world", answer
    with client.messages.stream(model="m", max_tokens=9, messages=MESSAGE) as stream:
        pieces = [(word, time.monotonic()) for word in stream.text_stream]
    assert "".join(word for word, _ in pieces) == "hello world", pieces
    assert spread([moment for _, moment in pieces]), pieces


def httpx_upload():
    def body():
        for _ in range(64):
            yield b"x" * 65536
    with httpx.Client(transport=transport(), timeout=60) as client:
        headers = {"Authorization": f"Bearer {PHANTOM}"}
        sized = client.post(f"{BASE}/upload", headers=headers, content=b"y" * 5_000_000)
        assert sized.json() == {"bytes": 5_000_000, "chunked": False}, sized.text
        chunked = client.post(f"{BASE}/upload", headers=headers, content=body())
        assert chunked.json() == {"bytes": 64 * 65536, "chunked": True}, chunked.text


async def aiohttp_session():
    connector = aiohttp.UnixConnector(path=SOCKET)
    headers = {"Authorization": f"Bearer {PHANTOM}"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        async with session.post(f"{BASE}/upload", data=b"z" * 100_000) as answer:
            assert (await answer.json())["bytes"] == 100_000
        async with session.ws_connect(f"{BASE}/ws", protocols=("chat",), compress=15) as socket:
            assert socket.protocol == "chat" and socket.compress, socket
            await socket.send_str("one")
            assert await socket.receive_str() == "echo one"
            await socket.send_str("bye")
            message = await socket.receive()
            assert message.type == aiohttp.WSMsgType.CLOSE, message
            assert (message.data, message.extra) == (1001, "as you wish"), message


async def websockets_client():
    headers = {"Authorization": f"Bearer {PHANTOM}"}
    async with websockets.unix_connect(SOCKET, uri="ws://localhost/ws", subprotocols=["chat"],
                                       additional_headers=headers) as socket:
        assert socket.subprotocol == "chat"
        large = "x" * 300_000
        await socket.send(large)
        assert await socket.recv() == f"echo {large}"
        pong = await socket.ping()
        await asyncio.wait_for(pong, 5)
        await socket.send("bye")
        try:
            await socket.recv()
            raise AssertionError("still open")
        except websockets.ConnectionClosed as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (1001, "as you wish"), closed


async def websocket_refusal():
    try:
        async with websockets.unix_connect(SOCKET, uri="ws://localhost/ws"):
            raise AssertionError("opened without a token")
    except websockets.InvalidStatus as refused:
        assert refused.response.status_code == 401, refused


def openai_error():
    client = sdk(openai.OpenAI, api_key="terok-p-unknown", base_url=f"{BASE}/v1")
    try:
        client.chat.completions.create(model="m", messages=MESSAGE)
        raise AssertionError("served without a token")
    except openai.AuthenticationError as refused:
        assert refused.status_code == 401


for claim, run in {
    "the openai sdk answers and streams": openai_sdk,
    "the openai sdk sees a refusal as one": openai_error,
    "the anthropic sdk answers and streams with a key": lambda: anthropic_sdk(api_key=PHANTOM),
    "the anthropic sdk answers and streams with a token": lambda: anthropic_sdk(auth_token=PHANTOM),
    "httpx uploads with and without a length": httpx_upload,
    "aiohttp posts and opens a compressed websocket": lambda: asyncio.run(aiohttp_session()),
    "websockets talks, pings and sees the close reason": lambda: asyncio.run(websockets_client()),
    "websockets sees a refusal as one": lambda: asyncio.run(websocket_refusal()),
}.items():
    run()
    print("ok:", claim, flush=True)
