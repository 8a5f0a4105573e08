"""A LangChain retriever over a memory: for chains, and for everything that takes a `BaseRetriever`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables.config import RunnableConfig, ensure_config, var_child_runnable_config
from pydantic import ConfigDict, Field

from langgraph_fluxmem import execution
from langgraph_fluxmem.memory import FluxMem
from langgraph_fluxmem.namespaces import DEFAULT, NamespaceTemplate
from langgraph_fluxmem.schema import Activation, Namespace


class FluxMemRetriever(BaseRetriever):
    """Facts of a memory as documents, best first: made by `FluxMem.as_retriever`.

    Each document has the fact's content, all its metadata unchanged, its id, and in ``metadata["fluxmem"]`` its score, its signals and the
    id of the activation. To learn from documents, recall what was asked and name those that served:
    ``mem.learn(mem.recall(query), Feedback(outcome="success", used=[document.id]))``. ``retriever.invoke(query, k=3)`` overrides `k` for one call. Fields of the namespace come from
    the config of the call, or of the chain or graph it is made in; the recall is a run beneath the retriever's.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    mem: Any = Field(exclude=True, repr=False)
    namespace: tuple[str, ...] = DEFAULT
    also: tuple[tuple[str, ...], ...] = ()
    k: int = 10
    options: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of `FluxMem.recall`."""

    def invoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        """The facts for a query, as documents. Raises as `FluxMem.recall`, and `UnresolvedNamespaceError`."""
        with _within(ensure_config(config)):
            return super().invoke(input, config, **kwargs)

    async def ainvoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        """Async twin of `invoke`."""
        with _within(ensure_config(config)):
            return await super().ainvoke(input, config, **kwargs)

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None) -> list[Document]:
        mem: FluxMem = self.mem
        namespace, also = self._where()
        with _within({**(var_child_runnable_config.get() or {}), "callbacks": run_manager.get_child()}):
            return documents(mem.recall(query, namespace=namespace, also=also, k=self.k if k is None else k, **self.options))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        mem: FluxMem = self.mem
        namespace, also = self._where()
        with _within({**(var_child_runnable_config.get() or {}), "callbacks": run_manager.get_child()}):
            return documents(await mem.arecall(query, namespace=namespace, also=also, k=self.k if k is None else k, **self.options))

    def _where(self) -> tuple[Namespace, list[Namespace]]:
        run = execution.current()
        return run.fill(NamespaceTemplate(self.namespace)), [run.fill(NamespaceTemplate(other)) for other in self.also]


@contextmanager
def _within(config: RunnableConfig) -> Generator[None]:
    """Let what is called inside see `config` as that of the run it is made in, as LangChain does for the steps of a chain."""
    token = var_child_runnable_config.set(config)
    try:
        yield
    finally:
        var_child_runnable_config.reset(token)


def documents(activation: Activation) -> list[Document]:
    """The facts of an activation as LangChain documents."""
    return [
        Document(
            id=fact.id,
            page_content=fact.content,
            metadata={**fact.metadata, "fluxmem": {"score": fact.score, "signals": dict(fact.why.signals), "activation": activation.id}},
        )
        for fact in activation.facts
    ]
