from pathlib import Path

import pytest

from repro.schema.confidential import HIDDEN, homes_in, secrets_in, without_secrets

TOKEN = "ghp_" + "a1B2" * 10
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVPmB92K27uhbUJU1p1r"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("git clone https://ada:pw1@host.org/x", "git clone https://***@host.org/x"),
        (f"https://{TOKEN}@github.com/x", "https://***@github.com/x"),
        ("postgresql://u:p%40ss@db/x failed", "postgresql://***@db/x failed"),
        ("Authorization: Bearer abcdefghij0123456789", "Authorization: Bearer ***"),
        (f"export GH={TOKEN}", "export GH=***"),
        (f"cookie {JWT}", "cookie ***"),
        ("run x token=abc --password hunter2 api_key: 'q'", "run x token=*** --password hunter2 api_key: '***'"),
        ('{"secret_key": "abc"}', '{"secret_key": "***"}'),
        ("FileNotFoundError: /home/ada/data.csv", "FileNotFoundError: ~/data.csv"),
        ("No such file: /Users/ada/x, C:\\Users\\ada\\y", "No such file: ~/x, ~\\y"),
    ],
)
def test_what_is_written_down_holds_no_credential(text: str, shown: str) -> None:
    assert without_secrets(text, {}) == shown
    assert list(secrets_in(shown)) == []


@pytest.mark.parametrize(
    "text",
    [
        "repro run chinchilla/isoflop_params_exponent scale=gpu study.params.lr=1e-3",
        "warmup_tokens: 3.0e6",
        "repro run x params.flops_per_token=2.5e3 params.token=100000000",
        "https://arxiv.org/abs/2203.15556v1?x=a@b",
        "mail ada@example.org",
        "RuntimeError: loss per token: nan (in draws.py, line 3: raise)",
        "see /data/home_runs/x and /rooted/y",
    ],
)
def test_ordinary_texts_stay_as_they_are(text: str) -> None:
    assert without_secrets(text, {}) == text
    assert list(secrets_in(text)) == []
    assert not homes_in(text)


def test_values_of_telling_variables_are_hidden_wherever_they_stand() -> None:
    environment = {"WANDB_API_KEY": "correct-horse", "TOKEN": "short", "HOSTNAME": "correct-place", "PATH": "/usr/bin"}
    text = "POST body=correct-horse on correct-place by short"
    assert without_secrets(text, environment) == f"POST body={HIDDEN} on correct-place by short"


def test_ones_own_home_is_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/srv/people/ada"))
    assert without_secrets("open /srv/people/ada/x", {}) == "open ~/x"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("x\nhttps://ada:pw@h/", "an address with a password"),
        ("x\nBasic QWRhOnNlY3JldHNlY3JldA==", "an authorization header"),
        (f"x\n{TOKEN}", "an access token"),
        ("x\n-----BEGIN OPENSSH PRIVATE KEY-----", "a private key"),
        ('x\n{"api_key": "a1b2c3d4e5f6g7"}', "a value that is called password, token or key"),
    ],
)
def test_evidence_is_searched_by_line(text: str, kind: str) -> None:
    assert list(secrets_in(text)) == [(2, kind)]
