"""What is written down for others to read holds no secrets: each is replaced by a word for what it was.

Secrets are known by their shape (tokens, private keys), by the name that they stand under (`token:`, `"auth":`,
`--password=`), or by the object that they are part of (the data of a Secret). Where it is in doubt, too much is
taken out rather than too little. Certificates, digests and hashes of public keys stay: they are no secrets.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any


def _word(what: str) -> str:
    """What stands in the place of a secret. No quote, no backslash: it fits into JSON, XML and YAML as it is."""
    return f"(redacted: {what})"


TOKEN, BOOTSTRAP, KEY, NAMED, SECRET = map(
    _word, ("token", "bootstrap token", "private key", "secret value", "data of a Secret")
)

_BASE64 = r"[A-Za-z0-9+/_=-]"
_PEM_KEY = re.compile(
    r"-----BEGIN (?P<kind>[A-Z0-9 ]*)PRIVATE KEY-----"
    r"(?:(?:(?!-----BEGIN )[\s\S])*?-----END (?P=kind)PRIVATE KEY-----"
    # One that is cut off: what follows and looks like its lines, be they joined by real or by written-out ends.
    r"|(?:(?:\s|\\+[nrt])*[A-Za-z0-9+/=]{16,})*(?:(?:\s|\\+[nrt])*[A-Za-z0-9+/=]+)?)"
)
_PEM_END = re.compile(r"-----END [A-Z0-9 ]*PRIVATE KEY-----")
_PEM_LINE = re.compile(r".*?[A-Za-z0-9+/=]{16,}\s*")
_PEM_LAST_LINE = re.compile(r"(?:.*\s)?[A-Za-z0-9+/=]+\s*")

_SHAPES = (
    # A PEM file or a Docker configuration in base64, as kubeconfigs and Secrets have them: keys and certificates
    # look alike there until they are decoded, so both go.
    (re.compile(rf"\bLS0tLS1CRUdJTi{_BASE64}*(?:\s+{_BASE64}{{60,}})*"), KEY),
    (
        re.compile(rf"\b(?:eyJhdXRocyI|eyAiYXV0aHMi|ew[oA-Za-z0-9]{{1,12}}ImF1dGhz|ewogICJhdXRocyI){_BASE64}*"),
        NAMED,
    ),
    # JSON Web Tokens begin with {" in base64, and may be in base64 once more. One without its last parts counts.
    (re.compile(rf"\beyJ{_BASE64}{{8,}}\.{_BASE64}{{4,}}(?:\.{_BASE64}*)?"), TOKEN),
    (re.compile(rf"\bZXlK{_BASE64}{{40,}}"), TOKEN),
    (re.compile(r"(?<![\w.-])[a-z0-9]{6}\.[a-z0-9]{16}(?![\w-]|\.\w)"), BOOTSTRAP),
    (re.compile(r"(?<=://)[^\s/@:\"']+:[^\s/@\"']+(?=@)"), NAMED),
    (re.compile(r"(?<=\bBearer )\s*[\w.~+/=-]{8,}"), TOKEN),
)

_NAMES = (
    r"tokens?|passwords?|passwd|passphrase|auth|client-key-data|certificate-key|private[-_ ]?key"
    r"|preshared[-_ ]?key|(?:client|api|shared)[-_]?secret|token-secret|api[-_]?key"
    r"|\.dockerconfigjson|\.dockercfg|tls\.key"
)
_NAME = re.compile(rf"[\w.-]*?(?:{_NAMES})", re.IGNORECASE)
_UNDER_A_NAME = re.compile(
    # Not where the value is a word that says whether there is one, or begins an object.
    rf"(?P<head>(?<![\w.-])[\w.-]*?(?:{_NAMES})(?:\\*[\"'])?(?:\s*[:=]\s*|[ \t]+(?=\\*[\"']))"
    rf"|(?<!\w)--[\w-]*(?:token|password|key)[ =]"
    rf"|\bauthorization(?:\\*[\"'])?\s*[:=]\s*(?:\\*[\"'])?\s*(?:basic|bearer)\s+)"
    r"(?P<quote>\\*[\"'])?"
    r"(?(quote)(?P<quoted>(?:(?!(?<!\\)(?P=quote))(?:\\[^\n]|[^\n\\]))+)|(?P<bare>[^\s\"'\\,;{}\[\]()<>&]+))",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(r"true|false|null|none|yes|no|\d{1,5}|/[\w./-]+", re.IGNORECASE)
"""Under such a name: whether there is one, how many, or the file that it is in."""

_JSON_SECRET = re.compile(r"\\*\"kind\\*\"\s*:\s*\\*\"Secret(?:List)?\\*\"")
_JSON_DATA = re.compile(r"(?P<quote>\\*\")(?:data|stringData)(?P=quote)\s*:\s*\{")
_JSON_TOKEN = re.compile(r"(?P<escapes>\\*)\"|[{}]")
_YAML_SECRET = re.compile(r"^[ \t]*(?:- )?kind:[ \t]*[\"']?Secret(?:List)?[\"']?[ \t]*$", re.MULTILINE)
_YAML_DATA = re.compile(r"(?P<indent>[ \t]*(?:- )?)(?:data|stringData):[ \t]*$")


def redacted(text: str) -> str:
    """The text without its secrets; the same text where it has none. Twice is the same as once."""
    text = _cut_in_front(_PEM_KEY.sub(KEY, text))
    if _JSON_SECRET.search(text):
        text = _json_data(text)
    if _YAML_SECRET.search(text):
        text = re.sub(r"(?ms)^.*?(?:^---[ \t]*$|\Z)", lambda document: _yaml_data(document[0]), text)
    for shape, word in _SHAPES:
        text = shape.sub(word, text)
    return _UNDER_A_NAME.sub(_named, text)


_OFTEN = 120
"""Characters of a text that a report has many times, such as the name of an endpoint."""
_again = lru_cache(maxsize=10_000)(redacted)


def redacted_content(content: str | bytes) -> bytes:
    """The same of a file's content. Bytes with a zero among them (a recording of packets) stay as they are."""
    if isinstance(content, str):
        return redacted(content).encode()
    if b"\0" in content:
        return content
    # Logs have a few bytes that are no UTF-8: they must not save the secrets beside them.
    return redacted(content.decode(errors="surrogateescape")).encode(errors="surrogateescape")


def redacted_tree(value: Any) -> Any:
    """The same of every string in lists and mappings, as JSON is read; keys stay."""
    if isinstance(value, str):
        return _again(value) if len(value) <= _OFTEN else redacted(value)
    if isinstance(value, dict):
        return {key: _under(str(key), one) for key, one in value.items()}
    return [redacted_tree(one) for one in value] if isinstance(value, list) else value


def redact_files(folder: Path) -> None:
    """The same of every file in a folder and below, in its place."""
    for path in (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
        before = path.read_bytes()
        after = redacted_content(before)
        if after != before:
            path.write_bytes(after)


def _under(key: str, value: Any) -> Any:
    """A value with the name that it stands under."""
    if isinstance(value, str) and value and _NAME.fullmatch(key) and not _NO_SECRET.fullmatch(value):
        return NAMED
    return redacted_tree(value)


def _named(found: re.Match[str]) -> str:
    value = found["quoted"] or found["bare"]
    if _NO_SECRET.fullmatch(value) or value.startswith("(redacted: "):
        return found[0]
    quote = found["quote"] or ""
    return f"{found['head']}{quote}{NAMED}"


def _cut_in_front(text: str) -> str:
    """A key of which a log has only the end: the lines before it that look like its lines go too."""
    while end := _PEM_END.search(text):
        *lines, marker = text[: end.start()].split("\n")
        # Where ends of lines are written out, as in JSON, all of it stands in front of the marker.
        prefix = re.sub(r"(?:[A-Za-z0-9+/=]|\\+[nrt])+$", "", marker)
        if prefix == marker and lines and _PEM_LAST_LINE.fullmatch(lines[-1]):
            lines.pop()
            while lines and _PEM_LINE.fullmatch(lines[-1]):
                lines.pop()
        text = "\n".join([*lines, prefix]) + KEY + text[end.end() :]
    return text


def _json_data(text: str) -> str:
    """JSON with a Secret in it, be it in a string of other JSON: what its data is goes, and its braces stay.

    A ConfigMap beside it in the same text loses its data too.
    """
    parts: list[str] = []
    begin = 0
    while found := _JSON_DATA.search(text, begin):
        parts.append(text[begin : found.end()])
        quote = found["quote"]
        parts.append(f"{quote}{SECRET}{quote}: {quote}{quote}")
        begin = _end_of_object(text, found.end(), len(quote) - 1)
    return "".join([*parts, text[begin:]])


def _end_of_object(text: str, begin: int, escapes: int) -> int:
    """Where the object ends that is open at `begin`, in JSON whose quotes have that many backslashes before them.

    The end of the text, for one that is cut off.
    """
    depth, quoted = 1, False
    for token in _JSON_TOKEN.finditer(text, begin):
        if token["escapes"] is not None:
            # As many as a quote of this level has, and whole escaped backslashes besides: it opens or closes.
            beyond = len(token["escapes"]) - escapes
            quoted ^= beyond >= 0 and beyond % (2 * (escapes + 1)) == 0
        elif not quoted:
            depth += 1 if token[0] == "{" else -1
            if depth == 0:
                return token.start()
    return len(text)


def _yaml_data(document: str) -> str:
    """A document of YAML; if a Secret is in it, the values under `data` and `stringData` go."""
    if not _YAML_SECRET.search(document):
        return document
    kept: list[str] = []
    inside: int | None = None
    for line in document.split("\n"):
        depth = len(line) - len(line.lstrip(" \t"))
        if inside is not None and (depth > inside or not line.strip()):
            continue
        inside = None
        kept.append(line)
        if found := _YAML_DATA.fullmatch(line):
            inside = len(found["indent"])
            kept.append(f"{' ' * inside}  # {SECRET}")
    return "\n".join(kept)
