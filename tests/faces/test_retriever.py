"""`mem.as_retriever()`: LangChain's own suite, metadata, namespaces from the run, a plain chain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_tests.integration_tests import RetrieversIntegrationTests

from langgraph_fluxmem import Feedback, FluxMem, InvalidNamespaceError, UnresolvedNamespaceError
from langgraph_fluxmem.retriever import FluxMemRetriever

from .agents import says

FACTS = ["Ada is on the team plan.", "Bob prefers tea.", "Carol lives in Lyon.", "Dan has two cats."]


@pytest.fixture
def mem(tmp_path: Path) -> Any:
    with FluxMem.open(tmp_path / "m", chroma="off") as memory:
        memory.remember(FACTS)
        yield memory


class TestStandard(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _opened(self, mem: FluxMem) -> None:
        self.mem = mem

    @property
    def retriever_constructor(self) -> Any:
        return lambda **params: self.mem.as_retriever(**params)

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {}

    @property
    def retriever_query_example(self) -> str:
        return "who is on which plan?"


def test_documents_carry_content_metadata_and_why(mem: FluxMem) -> None:
    mem.remember(Document("Eve paid 12 euros.", metadata={"source": "ledger", "page": 3}))
    (document,) = mem.as_retriever(k=1).invoke("how much did eve pay?")
    assert document.page_content == "Eve paid 12 euros."
    assert (document.metadata["source"], document.metadata["page"]) == ("ledger", 3)
    told = document.metadata["fluxmem"]
    assert told["score"] == pytest.approx(sum(told["signals"].values()))
    assert mem.recall("how much did eve pay?", k=1).facts[0].id == document.id


async def test_async_and_k_for_one_call(mem: FluxMem) -> None:
    retriever = mem.as_retriever(k=3)
    assert len(await retriever.ainvoke("plan")) == 3
    assert [d.id for d in await retriever.ainvoke("plan", k=1)] == [d.id for d in retriever.invoke("plan", k=1)]


def test_the_namespace_comes_from_the_run(mem: FluxMem) -> None:
    mem.remember("Ada's code is 17.", namespace=("ada",))
    retriever = mem.as_retriever(namespace=("{user_id}",), also=[("memories",)])

    def node(text: str) -> list[str]:
        return [document.page_content for document in retriever.invoke(text)]

    from langchain_core.runnables import RunnableLambda

    asked = RunnableLambda(node)
    assert "Ada's code is 17." in asked.invoke("what is the code?", {"configurable": {"user_id": "ada"}})
    assert "Ada's code is 17." not in asked.invoke("what is the code?", {"configurable": {"user_id": "bob"}})
    with pytest.raises(UnresolvedNamespaceError, match="user_id"):
        asked.invoke("what is the code?")
    with pytest.raises(InvalidNamespaceError):
        mem.as_retriever(namespace="ada")


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_the_namespace_comes_from_the_config_of_the_call(mem: FluxMem, asynchronous: bool) -> None:
    mem.remember("Ada's code is 17.", namespace=("ada",))
    retriever = mem.as_retriever(namespace=("{user_id}",))

    async def ask(**config: Any) -> list[str]:
        found = await retriever.ainvoke("code?", config) if asynchronous else retriever.invoke("code?", config)  # type: ignore[arg-type]
        return [document.page_content for document in found]

    assert await ask(configurable={"user_id": "ada"}) == ["Ada's code is 17."]
    assert await ask(configurable={"user_id": "bob"}) == []
    with pytest.raises(UnresolvedNamespaceError, match="user_id"):
        await ask()


def test_a_chain_that_answers_and_learns(mem: FluxMem) -> None:
    prompt = ChatPromptTemplate.from_messages([("system", "Answer from:\n{context}"), ("human", "{question}")])
    model = says("The team plan.")
    chain = {"context": mem.as_retriever(k=2), "question": RunnablePassthrough()} | prompt | model | StrOutputParser()
    assert chain.invoke("which plan is ada on?") == "The team plan."
    assert "Ada is on the team plan." in model.system(0)


def test_options_are_those_of_recall(mem: FluxMem) -> None:
    (document,) = mem.as_retriever(k=1, signals={"dense": 1.0, "bm25": 0.0, "context": 0.0, "substance": 0.0, "statement": 0.0}).invoke(
        "tea"
    )
    assert "context" not in document.metadata["fluxmem"]["signals"]
    activation = mem.recall("tea", k=1)
    mem.learn(activation, Feedback(outcome="success", used=(document.id or "",)))
    assert isinstance(mem.as_retriever(), FluxMemRetriever)
