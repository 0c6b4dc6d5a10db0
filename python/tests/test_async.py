"""Requests of an event loop."""

import asyncio

import pytest
from conftest import POEM

import leafcutter


def test_pieces_are_those_of_the_stream(model):
    async def read():
        return [piece async for piece in model.agenerate(POEM, seed=3)]

    assert asyncio.run(read()) == list(model.generate(POEM, seed=3))


def test_many_answers_at_once(model):
    async def ask():
        return await asyncio.gather(*(model.acomplete(POEM, seed=seed, max_tokens=8) for seed in range(12)))

    expected = [model.complete(POEM, seed=seed, max_tokens=8).ids for seed in range(12)]
    assert [answer.ids for answer in asyncio.run(ask())] == expected


def test_the_loop_goes_on_while_a_token_is_waited_for(slow_model):
    async def wait():
        task = asyncio.create_task(slow_model.acomplete(POEM))
        for _ in range(100):
            await asyncio.sleep(0.001)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(wait())


def test_leaving_the_loop_cancels(slow_model):
    async def leave():
        async def first():
            async for _ in slow_model.agenerate(POEM):
                break

        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(first(), 0.2)

    asyncio.run(leave())
    assert slow_model.tokenize("春")


def test_errors_are_raised_where_they_are_awaited(model):
    async def ask():
        await model.acomplete(POEM, max_tokens=1000)

    with pytest.raises(leafcutter.BudgetError):
        asyncio.run(ask())
