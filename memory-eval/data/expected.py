"""Computes expected.json with scikit-learn: python3 expected.py (in its folder)

The figures that the baselines of memory-eval are tested against.
"""
import collections
import json
import re
import warnings

import numpy as np
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

warnings.filterwarnings("ignore")
SPLIT = r"(?<=[.!?;])\s+|\s*,\s*(?:and|then|but|also)\s+|\s+and\s+(?:then|also)\s+|\n"


def load(path):
    rows = (json.loads(line) for line in open(path))
    return [(row["instruction"], {action["name"] for action in row["actions"]}) for row in rows]


def f1(advised, wanted):
    return 2 * len(advised & wanted) / (len(advised) + len(wanted))


def clauses(text):
    return [c.strip() for c in re.split(SPLIT, text) if len(c.split()) >= 2] or [text]


def by_expected_f1(p):
    order, total = np.argsort(-p), p.sum()
    gain = [2 * p[order[:k]].sum() / (k + total) for k in range(1, min(len(order), 15) + 1)]
    return {tools[j] for j in order[: int(np.argmax(gain)) + 1]}


def words():
    return TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))


def chars():
    return TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(3, 4), min_df=2)


def shares(vectorizer, X, Y, texts, k):
    out = []
    for row in (vectorizer.transform(texts) @ X.T).toarray():
        near = np.argsort(-row, kind="stable")[:k]
        out.append((row[near, None] * Y[near]).sum(0) / max(row[near].sum(), 1e-12))
    return np.array(out)


class Model:
    def __init__(self, texts, Y):
        self.words, self.chars, self.Y = words(), chars(), Y
        self.X = self.words.fit_transform(texts)
        both = hstack([self.X, 0.7 * self.chars.fit_transform(texts)]).tocsr()
        self.lines = [LogisticRegression(C=20, solver="liblinear", tol=1e-8, max_iter=1000).fit(both, y) for y in Y.T]

    def logit(self, texts):
        both = hstack([self.words.transform(texts), 0.7 * self.chars.transform(texts)]).tocsr()
        return np.stack([line.decision_function(both) for line in self.lines], -1)

    def features(self, texts):
        whole, near = self.logit(texts), shares(self.words, self.X, self.Y, texts, 10)
        clause = np.array([self.logit(clauses(text)).max(0) for text in texts])
        prior = self.Y.mean(0)
        prior = np.broadcast_to(np.log((prior + 1e-3) / (1 - prior + 1e-3)), whole.shape)
        return np.stack([whole, clause, np.log((near + 0.02) / (1.02 - near)), prior, np.maximum(whole, clause)], -1)


train, test = load("errands_train.jsonl"), load("errands_dev.jsonl")
tools = sorted({tool for _, used in train for tool in used})
test = [(text, used & set(tools)) for text, used in test if used & set(tools)]
texts, queries = [text for text, _ in train], [text for text, _ in test]
Y = np.array([[tool in used for tool in tools] for _, used in train], float)
mean = lambda sets: float(np.mean([f1(s, w) for s, (_, w) in zip(sets, test)]))
most = lambda rows, least: [{tools[j] for j in np.where(r >= least)[0]} or {tools[r.argmax()]} for r in rows]
figures = {}
counts = collections.Counter(tuple(sorted(used)) for _, used in train)
figures["most_frequent"] = mean([set(min(counts, key=lambda used: (-counts[used], used)))] * len(test))
V = words()
X = V.fit_transform(texts)
for k in (1, 5, 10):
    figures[f"knn_{k}"] = mean(most(shares(V, X, Y, queries, k), 0.5))
fit = lambda y, **how: LogisticRegression(C=20, tol=1e-9, max_iter=20000, **how).fit(X, y).predict_proba(V.transform(queries))[:, 1]
P = np.stack([fit(y) for y in Y.T], -1)
for least in (0.5, 0.3, 0.15):
    figures[f"logistic_{least}"] = mean(most(P, least))
F, held = [], []
for kept, out in KFold(5, shuffle=True, random_state=0).split(texts):
    F.append(Model([texts[i] for i in kept], Y[kept]).features([texts[i] for i in out]))
    held.append(Y[out])
stack = LogisticRegression(C=1.0, max_iter=5000).fit(np.concatenate(F).reshape(-1, 5), np.concatenate(held).reshape(-1))
G = Model(texts, Y).features(queries)
P = stack.predict_proba(G.reshape(-1, 5))[:, 1].reshape(G.shape[:2])
figures["stacked"] = mean([by_expected_f1(p) for p in P])


def named(vectorizer, row):
    return {vectorizer.get_feature_names_out()[j]: float(row[0, j]) for j in row.nonzero()[1]}


rows = {}
for name, vectorizer in (("words", words()), ("chars", chars())):
    fitted = vectorizer.fit_transform(texts)
    rows[name] = {"train": named(vectorizer, fitted[0]), "test": named(vectorizer, vectorizer.transform(queries[:1]))}
y = Y[:, 0]
probabilities = {"tool": tools[0], "lbfgs": fit(y).tolist(), "liblinear": fit(y, solver="liblinear").tolist()}
json.dump({"f1": figures, "rows": rows, "probabilities": probabilities}, open("expected.json", "w"), indent=1)
print(figures)
