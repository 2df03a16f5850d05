"""A batching OpenAI-compatible server (/v1/completions, /v1/chat/completions) for measurements on one GPU.

    python3 bench/gpu/serve.py MODEL.gguf --port 8000 --slots 2048

Not a product: no streaming, no authentication, one model. Workers speak HTTP and tokenise; this process decodes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import queue
import sys
import tempfile
import threading
import time

SPECIAL_ENDS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "</s>", "<eos>", "<end_of_turn>")


def worker(conn, tokenizer_file: str, begin: list[int], port: int, context: int, name: str) -> None:
    """HTTP on a port shared by all workers; requests go to the decoder in bunches, answers come back by number."""
    from aiohttp import web
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(tokenizer_file)
    futures: dict[int, asyncio.Future] = {}
    bunch: list[tuple] = []
    number = 0

    def flush() -> None:
        conn.send(bunch)
        bunch.clear()

    def arrived() -> None:
        while conn.poll():
            try:
                answers = conn.recv()
            except EOFError:
                # The decoder has ended; nobody would answer any more.
                os._exit(1)
            for which, text, finish, count in answers:
                futures.pop(which).set_result((text, finish, count))

    def bad(message: str) -> web.Response:
        return web.json_response({"error": {"message": message, "type": "invalid_request_error"}}, status=400)

    async def complete(request: web.Request) -> web.Response:
        nonlocal number
        body = await request.json()
        chat = "messages" in body
        if chat:
            turns = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in body["messages"])
            prompt = f"{turns}<|im_start|>assistant\n"
        else:
            prompt = body.get("prompt")
        if not isinstance(prompt, str):
            return bad("expected one prompt, a string")
        ids = [*begin, *tokenizer.encode(prompt, add_special_tokens=False).ids]
        most = body.get("max_completion_tokens") or body.get("max_tokens") or 16
        if not 0 < len(ids) <= context - most:
            return bad(f"expected at most {context} tokens of prompt and completion, got {len(ids)} and {most}")
        stop = body.get("stop") or []
        stop = [stop] if isinstance(stop, str) else stop
        given = lambda key, default: default if body.get(key) is None else body[key]  # noqa: E731
        sampling = (given("temperature", 1.0), given("top_p", 1.0), given("min_p", 0.0))
        seed = int(given("seed", int.from_bytes(os.urandom(4), "big")))
        choices = []
        loop = asyncio.get_running_loop()
        for i in range(int(given("n", 1))):
            number += 1
            futures[number] = loop.create_future()
            if not bunch:
                loop.call_soon(flush)
            bunch.append((number, ids, most, *sampling, seed + i, tuple(stop)))
            choices.append(futures[number])
        answers = await asyncio.gather(*choices)
        out = []
        for i, (text, finish, _) in enumerate(answers):
            content = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
            out.append({"index": i, "finish_reason": finish, **content})
        tokens = sum(count for _, _, count in answers)
        usage = {"prompt_tokens": len(ids), "completion_tokens": tokens, "total_tokens": len(ids) + tokens}
        kind = "chat.completion" if chat else "text_completion"
        answer = {"id": f"c-{number}", "object": kind, "created": int(time.time()), "model": name, "choices": out}
        return web.json_response({**answer, "usage": usage})

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model"}]})

    async def main() -> None:
        asyncio.get_running_loop().add_reader(conn.fileno(), arrived)
        app = web.Application(client_max_size=2**24)
        app.add_routes([web.post("/v1/completions", complete), web.post("/v1/chat/completions", complete)])
        app.add_routes([web.get("/v1/models", models)])
        runner = web.AppRunner(app, keepalive_timeout=3600, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, reuse_port=True, backlog=4096).start()
        await asyncio.Event().wait()

    asyncio.run(main())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a GGUF file or a model folder")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--slots", type=int, default=2048, help="requests decoded at once")
    parser.add_argument("--context", type=int, default=512, help="tokens of prompt and completion")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--device")
    args = parser.parse_args()

    import torch
    from decode import Engine, Llama, Request
    from transformers import AutoModelForCausalLM, AutoTokenizer

    started = time.time()
    log = lambda text: print(f"serve {time.time() - started:7.1f}s {text}", file=sys.stderr, flush=True)  # noqa: E731
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    folder, file = os.path.split(args.model) if args.model.endswith(".gguf") else (args.model, None)
    source = {} if file is None else {"gguf_file": file}
    fast = AutoTokenizer.from_pretrained(folder or ".", **source).backend_tokenizer
    loaded = AutoModelForCausalLM.from_pretrained(folder or ".", dtype=torch.float32, **source)
    llama = Llama(loaded, device, torch.bfloat16 if device == "cuda" else torch.float32)
    del loaded
    ends = {i for i in (fast.token_to_id(token) for token in SPECIAL_ENDS) if i is not None}
    text = lambda ids: fast.decode(ids, skip_special_tokens=True)  # noqa: E731
    engine = Engine(llama, args.slots, args.context, ends, text)
    engine.pieces = [fast.decode([i]) for i in range(fast.get_vocab_size())]
    engine.warm()
    log(f"{args.model} on {device}, {args.slots} slots of {args.context} tokens")

    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as out:
        out.write(fast.to_str())
    spawn = multiprocessing.get_context("spawn")
    arrived: queue.SimpleQueue = queue.SimpleQueue()

    def listen(conn) -> None:
        while True:
            for which, ids, most, temperature, top_p, min_p, seed, stop in conn.recv():
                arrived.put(Request(ids, most, temperature, top_p, min_p, seed, stop, (conn, which)))

    for _ in range(args.workers):
        here, there = spawn.Pipe()
        name = os.path.basename(args.model)
        spawn.Process(target=worker, args=(there, out.name, llama.begin, args.port, args.context, name), daemon=True).start()
        threading.Thread(target=listen, args=(here,), daemon=True).start()
    log(f"serving http://127.0.0.1:{args.port}/v1")

    waiting: list[Request] = []
    last, before, busy = time.time(), (0, 0, 0), 0.0
    while True:
        if engine.active == 0 and not waiting:
            waiting.append(arrived.get())
        while True:
            try:
                waiting.append(arrived.get_nowait())
            except queue.Empty:
                break
        begin = time.time()
        engine.admit(waiting)
        ended = engine.decode()
        busy += time.time() - begin
        answers: dict = {}
        for request, content, finish in ended:
            conn, which = request.tag
            answers.setdefault(conn, []).append((which, content, finish, len(request.out)))
        for conn, bunch in answers.items():
            conn.send(bunch)
        if time.time() - last > 5:
            now = (engine.prompt_tokens, engine.output_tokens, engine.steps)
            prompt, output, steps = (a - b for a, b in zip(now, before))
            seconds = time.time() - last
            report = {"active": engine.active, "waiting": len(waiting), "busy": round(busy / seconds, 2)}
            report |= {"prompt_tokens_s": round(prompt / seconds), "output_tokens_s": round(output / seconds)}
            report |= {"step_ms": round(busy / max(steps, 1) * 1000, 2), "requests_output": engine.output_tokens}
            log(json.dumps(report))
            last, before, busy = time.time(), now, 0.0


if __name__ == "__main__":
    main()
