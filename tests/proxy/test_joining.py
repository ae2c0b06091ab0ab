"""Where a path goes that passes through unread."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import joining, registry
from proxy.adapter import Defaults, Passing
from proxy.errors import InvalidRequest

OWN = {  # by adapter, what its vendor's SDK or documentation writes behind the vendor's host
    "alibaba": ["/compatible-mode/v1/files", "/api/v1/services/aigc/text-generation/generation"],
    "anthropic": ["/v1/messages", "/v1/messages/count_tokens", "/v1/messages/batches?limit=2"],
    "azure": ["/openai/v1/files", "/openai/deployments/a%2Fb/chat/completions?api-version=1"],
    "bedrock": ["/model/arn%3Aaws%3Abedrock%3A%2Fx/converse", "/guardrail/g/version/1/apply"],
    "cohere": ["/v1/embed-jobs", "/v2/audio/transcriptions"],
    "deepseek": ["/user/balance", "/beta/completions", "/anthropic/v1/messages"],
    "fireworks": ["/inference/v1/chat/completions", "/v1/accounts/me/models"],
    "gemini": [
        "/v1beta/models/gemini:countTokens",
        "/v1/models",
        "/v1alpha/authTokens",
        "/upload/v1beta/files?uploadType=resumable",
        "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
    ],
    "github": ["/inference/chat/completions", "/catalog/models", "/orgs/me/inference/embeddings"],
    "groq": ["/openai/v1/audio/translations"],
    "huggingface": ["/hf-inference/models/a/b", "/v1/models", "/together/v1/chat/completions"],
    "lmstudio": ["/v1/models", "/api/v0/models"],
    "llamacpp": ["/props", "/v1/chat/completions"],
    "mistral": ["/v1/ocr", "/v1/fim/completions", "/v1/audio/transcriptions"],
    "novita": ["/v3/openai/models", "/v3/async/txt2img"],
    "ollama": ["/api/chat", "/api/tags", "/v1/chat/completions"],
    "openai": ["/v1/files", "/v1/organization/usage/completions"],
    "openrouter": ["/api/v1/credits"],
    "replicate": ["/v1/predictions", "/v1/models/a/b/predictions"],
    "sglang": ["/generate", "/v1/rerank"],
    "stability": ["/v2beta/3d/stable-fast-3d", "/v1/user/account"],
    "vertex": ["/v1/projects/p/locations/global/publishers/google/models/m:countTokens"],
    "vllm": ["/tokenize", "/v2/rerank", "/v1/score"],
    "voyage": ["/v1/multimodalembeddings"],
    "zai": ["/api/paas/v4/files", "/api/anthropic/v1/messages"],
}


@pytest.mark.parametrize(("adapter", "path"), [(a, p) for a, paths in OWN.items() for p in paths])
def test_what_a_vendors_sdk_writes_reaches_the_same_path_at_its_host(
    adapter: str, path: str
) -> None:
    """The default base URL doubles nothing, and keeps none of the vendor's APIs from a client."""
    defaults = registry.adapter(adapter).defaults
    base = defaults.base_url or "https://resource.example"
    parts = urlsplit(base)

    url = joining.vendor_url(path, base, defaults)

    assert url == f"{parts.scheme}://{parts.netloc}{path}"


ACME = Defaults("https://api.acme.example/v1", passing=Passing(beside=frozenset({"ws"})))
OTHER = Defaults("https://api.acme.example/api/open")
BARE = Defaults()


@pytest.mark.parametrize(
    ("defaults", "base", "path", "joined"),
    [
        # the examples everybody thinks of first
        (ACME, "https://api.acme.example/v1", "/v1/ocr", "/v1/ocr"),
        (ACME, "https://api.acme.example/v1", "/fim/completions", "/v1/fim/completions"),
        (ACME, "https://api.acme.example/v1", "/v1beta/models", "/v1beta/models"),
        (ACME, "https://api.acme.example/v1", "/v2/chat", "/v2/chat"),
        (ACME, "https://host/openai/v1", "/openai/v1/files", "/openai/v1/files"),
        (BARE, "https://host", "/v1/messages", "/v1/messages"),
        (BARE, "https://host", "/api/tags", "/api/tags"),
        # a place on another host, which the SDK knows nothing of
        (ACME, "https://host/acme/v1", "/v1/ocr", "/acme/v1/ocr"),
        (ACME, "https://host/acme/v1", "/v2/ocr", "/acme/v2/ocr"),
        (ACME, "https://host/acme/v1", "/ocr", "/acme/v1/ocr"),
        (ACME, "https://host/acme/v1", "/ws/x", "/acme/ws/x"),
        (ACME, "https://host/acme/v1", "/acme/v1/ocr", "/acme/v1/ocr"),
        (BARE, "https://host/v1/account/acme", "/v1/messages", "/v1/account/acme/v1/messages"),
        (BARE, "https://host/v1/account/acme", "/v1/account/acme/x", "/v1/account/acme/x"),
        (OTHER, "https://host/x/api/open", "/api/open/a", "/x/api/open/a"),
        (OTHER, "https://host/x/api/open", "/a", "/x/api/open/a"),
        # another version than the adapter's own
        (ACME, "https://host/api/v3", "/v3/x", "/api/v3/x"),
        (ACME, "https://host/api/v3", "/x", "/api/v3/x"),
        # names that only look alike
        (ACME, "https://host/v1", "/v1x/y", "/v1/v1x/y"),
        (ACME, "https://host/acme/v1", "/acmes/x", "/acme/v1/acmes/x"),
        (ACME, "https://host/v1", "/files/a/b/v2", "/v1/files/a/b/v2"),
        # nothing at all
        (ACME, "https://host/v1", "", "/v1"),
        (ACME, "https://host/v1", "/", "/v1/"),
        (BARE, "https://host", "", "/"),
        (BARE, "https://host", "?a=b", "/?a=b"),
        (ACME, "https://host/v1/", "/x?a=/v2/b", "/v1/x?a=/v2/b"),
    ],
)
def test_a_prefix_is_not_doubled_and_a_mount_is_not_left(
    defaults: Defaults, base: str, path: str, joined: str
) -> None:
    """The rules of the module's docstring, one row each."""
    assert joining.vendor_url(path, base, defaults) == f"https://{urlsplit(base).netloc}{joined}"


@pytest.mark.parametrize(
    ("adapter", "base", "joined"),
    [
        ("openai", "https://api.openai.com/v1", "/v1/files/a?b"),
        ("groq", "https://api.groq.com/openai/v1", "/openai/v1/files/a?b"),
        ("zai", "https://api.z.ai/api/paas/v4", "/api/paas/v4/files/a?b"),
        ("azure", "https://r.openai.azure.com", "/openai/v1/files/a?b"),
        ("azure", "https://r.openai.azure.com/", "/openai/v1/files/a?b"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta", "/v1beta/openai/files/a?b"),
        ("ollama", "http://127.0.0.1:11434", "/v1/files/a?b"),
        ("huggingface", "https://router.huggingface.co", "/v1/files/a?b"),
        ("openai", "https://proxy.example/some/place/v1", "/some/place/v1/files/a?b"),
    ],
)
def test_openais_own_paths_go_where_the_vendor_has_openais_api(
    adapter: str, base: str, joined: str
) -> None:
    """Under our /v1 that is no version of the vendor's, but the root of that API."""
    defaults = registry.adapter(adapter).defaults

    url = joining.openai_url("/v1/files/a?b", base, defaults)

    parts = urlsplit(base)
    assert url == f"{parts.scheme}://{parts.netloc}{joined}"


SEGMENTS = st.sampled_from(
    [
        *("v1", "v2", "acme", "..", ".", "", "a", "%2e%2e", "..%2f", "http:", "evil.example"),
        *("..;x", "%252e%252e", "..\\", "@evil.example", "x?y", "https://evil.example"),
    ]
)


@given(st.lists(SEGMENTS, max_size=6), st.sampled_from([ACME, OTHER, BARE]))
def test_no_path_leaves_the_providers_own_host(segments: list[str], defaults: Defaults) -> None:
    """Whatever stands in it, it is refused or behind the provider's origin and place."""
    path, _, query = "/".join(["/providers/p", *segments]).partition("?")
    try:
        called = joining.read(path, query)
    except InvalidRequest:
        return
    for base in ("https://host:8443/acme/v1", "https://host:8443"):
        url = joining.vendor_url(called.target, base, defaults)
        parts = urlsplit(url)
        assert parts.netloc == "host:8443"
        assert url.startswith(base.removesuffix("/v1"))
        assert not {"..", "."} & set(parts.path.split("/"))


@pytest.mark.parametrize(
    "path",
    [
        "/providers/p/..",
        "/providers/p/../x",
        "/providers/p/v1/../../x",
        "/providers/p/v1/./x",
        "/providers/p/%2e%2e/x",
        "/providers/p/%2E./x",
        "/providers/p/v1%2f..%2fx",
        "/providers/p/v1%2F%2e%2e",
        "/providers/p/%252e%252e/x",
        "/providers/p/..%5cx",
        "/providers/p/..\\x",
        "/providers/p/..;a=b/x",
    ],
)
def test_a_path_that_would_climb_is_refused(path: str) -> None:
    """However it is written: who decodes it after us must not climb either."""
    with pytest.raises(InvalidRequest, match="dots"):
        joining.read(path, "")


@pytest.mark.parametrize(
    ("path", "called"),
    [
        ("/providers/acme/v1/x", ("acme", "/v1/x")),
        ("/providers/acme", ("acme", "")),
        ("/providers/acme/", ("acme", "/")),
        ("/providers/acme//evil.example/x", ("acme", "/evil.example/x")),
        ("/providers/acme/a//b%2Fc/...", ("acme", "/a//b%2Fc/...")),
        ("/providers/a%2Fb/x", ("a/b", "/x")),
        ("/providers//x", ("", "/x")),
    ],
)
def test_a_path_names_a_provider_and_what_its_sdk_wrote(path: str, called: tuple[str, str]) -> None:
    """Encoded slashes stay what they are; leading ones make no host of a path."""
    assert joining.read(path, "a=b") == (*called, "a=b")
    assert joining.read(path, "a=b").target == called[1] + "?a=b"
    assert joining.read(path, "").target == called[1]


@pytest.mark.parametrize(
    ("query", "key", "rest"),
    [
        ("", "", ""),
        ("key=secret", "secret", ""),
        ("alt=sse&key=secret", "secret", "alt=sse"),
        ("key=secret&alt=a%20+b&&x", "secret", "alt=a%20+b&&x"),
        ("key=s%65cret", "secret", ""),
        ("k%65y=a+b%2B", "a b+", ""),
        ("key=other", "other", ""),
        ("Key=secret&keys=secret", "", "Key=secret&keys=secret"),
    ],
)
def test_the_key_in_a_query_is_read_and_left_out(query: str, key: str, rest: str) -> None:
    """Every other byte of the query stays as it came."""
    assert joining.key_of(query) == key
    assert joining.without_key(query, key) == rest


def test_a_key_in_a_query_that_is_not_the_clients_stays() -> None:
    """It means something to the vendor, then."""
    assert joining.without_key("key=a&x=1", "b") == "key=a&x=1"
    assert joining.without_key("key=&x=1", "") == "key=&x=1"


def test_a_provider_has_its_own_origin_and_its_vendors() -> None:
    """Both may stand in what the vendor answers."""
    assert joining.origins("https://host/x", ACME) == ["https://host", "https://api.acme.example"]
    assert joining.origins("https://api.acme.example/v2", ACME) == ["https://api.acme.example"]
    assert joining.origins("https://host:1", BARE) == ["https://host:1"]
