"""langchain-tests' suites for key-value stores."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_tests.integration_tests import BaseStoreAsyncTests, BaseStoreSyncTests

from langgraph_fluxmem import FluxMem
from langgraph_fluxmem.kv import FluxMemByteStore, FluxMemKVStore

BYTES = (b"foo", b"\x00\xff", b"")
VALUES = ({"a": [1, None]}, "text", 0.5)


class TestBytes(BaseStoreSyncTests[bytes]):
    @pytest.fixture
    def kv_store(self, mem: FluxMem) -> FluxMemByteStore:
        return FluxMemByteStore(mem)

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return BYTES


class TestBytesAsync(BaseStoreAsyncTests[bytes]):
    @pytest.fixture
    async def kv_store(self, mem: FluxMem) -> FluxMemByteStore:
        return FluxMemByteStore(mem)

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return BYTES


class TestValues(BaseStoreSyncTests[Any]):
    @pytest.fixture
    def kv_store(self, mem: FluxMem) -> FluxMemKVStore[Any]:
        return FluxMemKVStore(mem)

    @pytest.fixture
    def three_values(self) -> tuple[Any, Any, Any]:
        return VALUES


class TestValuesAsync(BaseStoreAsyncTests[Any]):
    @pytest.fixture
    async def kv_store(self, mem: FluxMem) -> FluxMemKVStore[Any]:
        return FluxMemKVStore(mem)

    @pytest.fixture
    def three_values(self) -> tuple[Any, Any, Any]:
        return VALUES
