"""Each kind of mistake, and the exact line it gets."""

from __future__ import annotations

import pytest

from proxy.config.problems import ConfigError
from tests.proxy.config.conftest import Load, Mistakes

HASH = "sha256:" + "a" * 64
ADAPTERS = "(adapters: anthropic, azure, openai, sim)"

MISTAKES = {
    # shapes
    "[]": ["1: must be a mapping, found a list"],
    "word": ["1: must be a mapping, found a text"],
    "server: {prot: 1}": [
        '1: server.prot: "prot" is not a setting; did you mean "port"? (settings: host, port, '
        "workers, max_body, max_upload, max_header, grace, tls, cors, keep_alive, header_timeout, "
        "body_timeout, write_timeout, ping, hold, metrics)"
    ],
    "server: 3": ["1: server: must be a mapping, found a number"],
    "server: {host: 3}": ["1: server.host: must be a text, found 3; put it in quotation marks"],
    "server: {host: [a]}": ["1: server.host: must be a text, found a list"],
    "server: {port: '80'}": ['1: server.port: must be a whole number, found "80"'],
    "server: {port: 80.5}": ["1: server.port: must be a whole number, found 80.5"],
    "server: {port: true}": ["1: server.port: must be a whole number, found true"],
    "server: {port: 70000}": ["1: server.port: must be at most 65535, found 70000"],
    "server: {workers: 0}": ["1: server.workers: must be at least 1, found 0"],
    "server: {metrics: 'yes'}": ['1: server.metrics: must be true or false, found "yes"'],
    "server: {grace: soon}": ['1: server.grace: "soon" is not a duration such as 250ms, 30s or 5m'],
    "server: {grace: [1]}": ["1: server.grace: must be a duration, found a list"],
    "server: {grace: '${SECRET}'}": ['1: server.grace: "${SECRET}" does not hold a duration'],
    "server: {header_timeout: 0}": ["1: server.header_timeout: must be more than 0, found 0"],
    "server: {max_body: 5k}": [
        '1: server.max_body: "5k" is not a size such as 64KiB, 32MiB or 10MB'
    ],
    "server: {tls: {cert: a}}": [
        "1: server.tls.key: is missing",
        '1: server.tls.cert: cannot read "a": No such file or directory',
    ],
    "server: {cors: {origins: [x]}}": [
        '1: server.cors.origins[0]: "x" is not an origin such as https://app.example.com, nor *'
    ],
    "server:\n  port: 1\n  port: 2": ["3: server.port: is given twice"],
    # services
    "state: {redis: localhost}": [
        "1: state.redis: must be a redis://, rediss:// or unix:// URL, or empty"
    ],
    "store: {url: mysql://x}": [
        "1: store.url: must be sqlite:///file or postgresql://host/database"
    ],
    # providers
    "providers: {opnai: }": [
        f'1: providers.opnai: "opnai" is not an adapter; did you mean "openai"? {ADAPTERS}'
    ],
    "providers:\n  x:\n    adapter: sym": [
        f'3: providers.x.adapter: "sym" is not an adapter; did you mean "sim"? {ADAPTERS}'
    ],
    "providers: {azure: }": ["1: providers.azure.base_url: is missing; azure has none of its own"],
    "providers: {openai: {base_url: api.x.com}}": [
        "1: providers.openai.base_url: must be a URL such as https://api.example.com/v1"
    ],
    "providers: {openai: {base_url: 'https://u:p@h'}}": [
        "1: providers.openai.base_url: must not hold a name or a password; use credentials or "
        "extra_headers"
    ],
    "providers: {openai: {base_url: 'https://h/?a=b'}}": [
        "1: providers.openai.base_url: must end with the path; ? and # have no place in it"
    ],
    "providers: {a/b: {adapter: sim}}": [
        '1: providers["a/b"]: a provider\'s name has letters, digits, dots, hyphens, underscores'
    ],
    "providers: {sim: {credentials: sk-secret}}": [
        "1: providers.sim.credentials: must be a list, found a text"
    ],
    "providers: {sim: {credentials: [{weight: 2}]}}": [
        "1: providers.sim.credentials[0].value: is missing"
    ],
    "providers: {sim: {credentials: [123]}}": [
        "1: providers.sim.credentials[0]: must be a mapping, found a number"
    ],
    "providers: {sim: {credentials: [{value: 123}]}}": [
        "1: providers.sim.credentials[0].value: must be a text; put it in quotation marks"
    ],
    "providers: {sim: {credentials: [{value: a, weight: 0, models: ['', 'a[']}]}}": [
        "1: providers.sim.credentials[0].weight: must be more than 0, found 0",
        "1: providers.sim.credentials[0].models[0]: must not be empty",
        '1: providers.sim.credentials[0].models[1]: "a[" has a [ or ] without the other',
    ],
    "providers: {sim: {ca: none.pem}}": [
        '1: providers.sim.ca: cannot read "none.pem": No such file or directory'
    ],
    "providers: {sim: {extra_headers: {Host: a, 'b c': d, e: \"f\\n\", A-B: 1, x: y, X: z}}}": [
        "1: providers.sim.extra_headers.A-B: must be a text, found 1; put it in quotation marks",
        "1: providers.sim.extra_headers.Host: is the connection's own business and cannot be set",
        '1: providers.sim.extra_headers["b c"]: a header\'s name has letters, digits and hyphens',
        "1: providers.sim.extra_headers.e: a header's value has no line breaks or other controls",
        "1: providers.sim.extra_headers.X: is given twice; capitals make no difference",
    ],
    # routes
    "providers: {sim: , openai: }\nroutes:\n  a:\n    deployments:\n    - provider: sim\n"
    "    - provider: opnai": [
        '6: routes.a.deployments[1].provider: "opnai" is not a provider; did you mean "openai"? '
        "(providers: sim, openai)"
    ],
    "routes: {a: }": ["1: routes.a.deployments: is missing"],
    "routes: {a: {deployments: []}}": ["1: routes.a.deployments: is empty; at least one is needed"],
    "routes: {a: {deployments: [{model: x}]}}": ["1: routes.a.deployments[0].provider: is missing"],
    "routes: {'gpt[': {deployments: [{provider: sim}]}}": [
        '1: routes["gpt["]: "gpt[" has a [ or ] without the other'
    ],
    "routes: {a: {deployments: [{provider: sim, when: {}}]}}": [
        "1: routes.a.deployments[0].when: says nothing; give at least one of header, tag, key, "
        "team, body, task"
    ],
    "routes: {a: {deployments: [{provider: sim}], when: [{route: a2, body: {max: '>= many'}}]}}": [
        "1: routes.a.when[0].body.max: `max` is no JSON pointer: it must begin with `/`",
        '1: routes.a.when[0].route: "a2" is not a route; did you mean "a"? (routes: a)',
    ],
    "routes: {a: {deployments: [{provider: sim, when: {body: {/n: '>= many'}}}]}}": [
        "1: routes.a.deployments[0].when.body[\"/n\"]: >= compares numbers, and 'many' is none"
    ],
    "routes: {b: {deployments: [{provider: sim}]}, "
    "a: {deployments: [{provider: sim}], split: [{route: b, share: 150%}]}}": [
        '1: routes.a.split[0].share: "150%" is more than the whole'
    ],
    "routes: {a: {deployments: [{provider: sim}], mirror: {route: a}}}": [
        "1: routes.a.mirror.route: fallbacks go in a circle: a → a"
    ],
    "providers: {sim: {credentials: [{value: x, requests: 10/year}]}}": [
        '1: providers.sim.credentials[0].requests: "10/year" is not a rate such as 600/m, 10/s or '
        "5000/h"
    ],
    "routes: {a: {strategy: prioritty, deployments: [{provider: sim}]}}": [
        '1: routes.a.strategy: "prioritty" is not a strategy; did you mean "priority"? '
        "(strategies: priority, random, round_robin, weighted)"
    ],
    "routes: {a: {fallbacks: [b], context_fallbacks: [c], deployments: [{provider: sim}]}}": [
        '1: routes.a.fallbacks[0]: "b" is not a route (routes: a)',
        '1: routes.a.context_fallbacks[0]: "c" is not a route (routes: a)',
    ],
    "routes: {a: {plugins: [aut], deployments: [{provider: sim}]}}": [
        '1: routes.a.plugins[0]: "aut" is not a plugin; did you mean "auth"? '
        "(plugins: access_log, auth, headers)"
    ],
    "providers: {sim: {credentials: [{value: a, models: ['gpt-*']}]}}\n"
    "routes: {a: {deployments: [{provider: sim, model: o3}]}}": [
        '2: routes.a.deployments[0].model: no credential of sim may be used for "o3"'
    ],
    # plugins
    "plugins: [rate_limit: {a: 1}]": [
        '1: plugins[0]: "rate_limit" is not a plugin (plugins: access_log, auth, headers)'
    ],
    "plugins: [{auth: , headers: }]": [
        "1: plugins[0]: must be a plugin's name, or one name with options: {name: {…}}"
    ],
    "plugins: [auth: 3]": ["1: plugins[0].auth: must be a mapping, found a number"],
    # keys
    "keys: [{value: a}]": ["1: keys[0].name: is missing"],
    "keys: [{name: '', value: a}]": ["1: keys[0].name: must not be empty"],
    "keys: [{name: a}]": ["1: keys[0]: must have either a value or a hash"],
    f"keys: [{{name: a, value: b, hash: '{HASH}'}}]": [
        "1: keys[0]: must have either a value or a hash"
    ],
    "keys: [{name: a, value: ''}]": ["1: keys[0].value: must not be empty"],
    "keys: [{name: a, hash: 'sha256:abc'}]": [
        "1: keys[0].hash: must be sha256: and 64 hexadecimal digits"
    ],
    "keys: [{name: a, value: b}, {name: a, value: c}, {name: d, value: b}]": [
        '1: keys[1].name: "a" is already the name of keys[0]',
        "1: keys[2]: is the same key as keys[0]",
    ],
    "keys: [{name: a, value: b}]\nplugins: [access_log]": [
        "2: plugins: there are keys, but without auth nobody is asked for one"
    ],
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_one_line(mistakes: Mistakes, text: str) -> None:
    """File, line, path, what was found, what is allowed, what is nearest."""
    found = [line.removeprefix("headgate.yaml:") for line in mistakes(text, {"SECRET": "s3cret"})]
    root = [line.replace("1: : ", "1: ") for line in found]
    assert sorted(root) == sorted(MISTAKES[text])


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(mistakes: Mistakes) -> None:
    """Also those that only the whole file shows."""
    text = """\
server:
  port: x
providers:
  openai: {adapter: opnai}
routes:
  a:
    deployments: [{provider: sim}]
    fallbacks: [b]
plugins: [cache]
"""
    assert [line.split(": ")[:2] for line in mistakes(text)] == [
        ["headgate.yaml:2", "server.port"],
        ["headgate.yaml:4", "providers.openai.adapter"],
        ["headgate.yaml:7", "routes.a.deployments[0].provider"],
        ["headgate.yaml:8", "routes.a.fallbacks[0]"],
        ["headgate.yaml:9", "plugins[0]"],
    ]


def test_a_wrong_group_is_one_mistake(mistakes: Mistakes) -> None:
    """What refers to it is not blamed."""
    text = "providers: [openai]\nroutes: {a: {deployments: [{provider: openai, model: x}]}}"
    assert mistakes(text) == ["headgate.yaml:1: providers: must be a mapping, found a list"]


def test_fallbacks_in_a_circle_are_told_once(mistakes: Mistakes) -> None:
    """With the way they take, over both kinds of fallbacks."""
    text = """\
routes:
  a: {deployments: [{provider: sim}], fallbacks: [b]}
  b: {deployments: [{provider: sim}], context_fallbacks: [c]}
  c: {deployments: [{provider: sim}], fallbacks: [d, b]}
  d: {deployments: [{provider: sim}]}
  e: {deployments: [{provider: sim}], fallbacks: [e]}
"""
    assert mistakes(text) == [
        "headgate.yaml:4: routes.c.fallbacks[1]: fallbacks go in a circle: b → c → b",
        "headgate.yaml:6: routes.e.fallbacks[0]: fallbacks go in a circle: e → e",
    ]


def test_fallbacks_that_meet_again_are_no_circle(load_text: Load) -> None:
    """Two ways may lead to one route."""
    text = """\
routes:
  a: {deployments: [{provider: sim}], fallbacks: [b, c, d]}
  b: {deployments: [{provider: sim}], fallbacks: [d]}
  c: {deployments: [{provider: sim}], fallbacks: [d]}
  d: {deployments: [{provider: sim}]}
"""
    assert len(load_text(text).routes) == 4


def test_ten_thousand_routes_in_a_row_are_no_trouble(load_text: Load) -> None:
    """Nothing here recurses over routes or compares each with each."""
    rows = [
        f"  r{i}: {{deployments: [{{provider: sim}}], fallbacks: [r{i + 1}]}}" for i in range(2000)
    ]
    config = load_text("\n".join(["routes:", *rows, "  r2000: {deployments: [{provider: sim}]}"]))
    assert len(config.routes) == 2001


def test_no_mistake_repeats_what_a_variable_holds(load_text: Load) -> None:
    """It may be a key in the wrong place."""
    settings = ("port", "grace", "max_body", "metrics", "workers")
    text = "server: {" + ", ".join(f"{name}: '${{SECRET}}'" for name in settings) + "}"
    with pytest.raises(ConfigError) as caught:
        load_text(text, {"SECRET": "s3cret"})
    assert len(caught.value.problems) == len(settings)
    assert "s3cret" not in caught.value.render()


@pytest.mark.parametrize("number", ["1" * 400, ".inf", ".nan", "1e400", "-1"])
@pytest.mark.parametrize(
    "text", ["server: {{port: {}}}", "server: {{grace: {}}}", "server: {{max_body: {}}}"]
)
def test_no_number_is_too_strange(mistakes: Mistakes, text: str, number: str) -> None:
    """Each is one short line."""
    (line,) = mistakes(text.format(number))
    assert len(line) < 200


def test_options_cannot_be_nested_without_end(mistakes: Mistakes) -> None:
    """JSON may come deeper than anybody means."""
    text = '{"providers": {"sim": {"options": ' + '{"a": ' * 100 + "1" + "}" * 103
    (line,) = mistakes(text, name="a.json")
    assert line.endswith("is nested too deeply")


def test_mistakes_in_json_and_toml_have_lines_too(mistakes: Mistakes) -> None:
    """Wherever the value stands."""
    assert mistakes('{"server": {\n"host": "h",\n"port": "x"}}', name="a.json") == [
        'a.json:3: server.port: must be a whole number, found "x"'
    ]
    assert mistakes("[server]\nhost = 'h'\nport = 'x'", name="a.toml") == [
        'a.toml:3: server.port: must be a whole number, found "x"'
    ]
