"""PyTorch by hand: what its eager mode can do at most, as far as we know.

Padding is not computed where that can be had: examples are put in order of
length once, and work goes on with those that are long enough.

- din: groups of examples, each cut to its longest; all passes over a group in
  place while it is in the cache. Whole batches without the cut take 1.6 times
  as long, einsum in the gradient of the folded kernel 1.3 times.
- augru: steps packed as in PackedSequence; what the gradient needs and does
  not depend on later steps is computed of all steps at once.
- bilstm: `torch.nn.LSTM`, whose second bias is 0. A hand-written packed loop of
  both directions as one product takes twice as long.
- transformer: each example cut to its length. The whole batch with a mask takes
  3 times as long.
- pooling, weighted: one batched product, and a gradient of one pass; the
  gradient of PyTorch's own bmm takes 1.3 times as long, sums of products 1.5
  times. Maxima: 32 examples at a time; amax of all, or max with its indices, 3
  to 5 times.
"""

import torch
import torch.nn.functional as F

FRAMEWORK = "torch"

# Steps to a group of DIN's: what is computed of them stays in the cache.
ROWS = 3000


def din(work, weights, rows=ROWS):
    fold = work.steps >= work.dim

    def call(inputs, variables, training):
        return _Din.apply(*inputs, rows, fold, *variables)

    return call, variables(weights)


def _groups(lengths, steps, rows):
    """Examples of like length, `rows` steps of them at a time; None: all."""
    if rows is None:
        yield slice(None), steps
        return
    order = torch.argsort(lengths, descending=True)
    sizes = lengths[order].tolist()
    start = 0
    while start < len(sizes):
        steps = sizes[start]
        stop = min(start + max(1, rows // max(1, steps)), len(sizes))
        yield order[start:stop], steps
        start = stop


class _Din(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query, keys, lengths, rows, fold, *weights):
        scorer, bias, kernel, kernel2, bias1, bias2 = weights
        candidates, dim = query.shape[1:]
        of_query, of_keys, of_both = _cut(kernel, dim)
        from_query = torch.matmul(query, of_query).add_(bias1)
        lengths = lengths.reshape(-1).clamp(0, keys.shape[1])
        output = torch.empty_like(query)
        kept = []
        rows = rows and rows // candidates
        for at, steps in _groups(lengths, keys.shape[1], rows):
            k, q = keys[at, :steps], query[at]
            added = from_query[at].view(len(q), 1, -1)
            if fold:
                folded = _fold(q, of_keys, of_both)
                hidden = torch.baddbmm(added, k, folded)
            else:
                hidden = torch.mm(k.view(-1, dim), of_keys)
                both = (k[:, :, None] * q[:, None]).view(-1, dim)
                if candidates > 1:
                    hidden = (
                        hidden.view(-1, 1, hidden.shape[-1])
                        .expand(-1, candidates, -1)
                        .reshape(len(both), -1)
                    )
                hidden.addmm_(both, of_both)
                hidden.view(len(q), steps, -1).add_(added)
            hidden = hidden.view(-1, bias1.shape[0]).sigmoid_()
            hidden2 = torch.addmm(bias2, hidden, kernel2).sigmoid_()
            scores = torch.mv(hidden2, scorer[:, 0]).add_(bias)
            valid = valid_steps(k, lengths[at, None])
            scores = scores.view(len(q), steps, candidates)
            scores.mul_(valid[:, :, None])
            output[at] = torch.bmm(scores.transpose(1, 2), k)
            kept.append((at, k, hidden, hidden2, scores, valid))
        ctx.fold = fold
        ctx.kept = kept
        ctx.save_for_backward(query, keys, *weights)
        return output

    @staticmethod
    def backward(ctx, upstream):
        query, keys, scorer, bias, kernel, kernel2, bias1, bias2 = (
            ctx.saved_tensors
        )
        candidates, dim = query.shape[1:]
        units = bias1.shape[0]
        of_query, of_keys, of_both = _cut(kernel, dim)
        d_query, d_keys = torch.empty_like(query), torch.zeros_like(keys)
        d_added = torch.empty((*query.shape[:2], units))
        d_of_keys, d_of_both = map(torch.zeros_like, (of_keys, of_both))
        d_kernel2 = torch.zeros_like(kernel2)
        d_bias2 = torch.zeros_like(bias2)
        d_scorer, d_bias = torch.zeros_like(scorer), torch.zeros_like(bias)
        for at, k, hidden, hidden2, scores, valid in ctx.kept:
            q, up = query[at], upstream[at]
            steps = k.shape[1]
            d_scores = torch.bmm(k, up.transpose(1, 2))
            d_scores = d_scores.mul_(valid[:, :, None]).reshape(-1, 1)
            d_scorer.addmm_(hidden2.t(), d_scores)
            d_bias += d_scores.sum()
            d2 = torch.mm(d_scores, scorer.t())
            _sigmoid_backward_(d2, hidden2)
            d_kernel2.addmm_(hidden.t(), d2)
            d_bias2 += d2.sum(0)
            d1 = torch.mm(d2, kernel2.t())
            _sigmoid_backward_(d1, hidden)
            d1 = d1.view(len(q), steps, candidates * units)
            d_added[at] = d1.sum(1).view(len(q), candidates, units)
            d_k = torch.bmm(scores, up)
            if ctx.fold:
                folded = _fold(q, of_keys, of_both)
                d_k.baddbmm_(d1, folded.transpose(1, 2))
                d_keys[at, :steps] = d_k
                d_folded = torch.bmm(k.transpose(1, 2), d1)
                d_folded = d_folded.view(-1, dim, candidates, units)
                d_of_keys += d_folded.sum((0, 2))
                both = d_folded * of_both[:, None]
                d_query[at] = both.sum(-1).transpose(1, 2)
                of_q = q.transpose(1, 2)[..., None]
                d_of_both += d_folded.mul_(of_q).sum((0, 2))
            else:
                d1 = d1.view(-1, units)
                both = (k[:, :, None] * q[:, None]).view(-1, dim)
                d_of_both.addmm_(both.t(), d1)
                d_both = torch.mm(d1, of_both.t())
                d_both = d_both.view(len(q), steps, candidates, dim)
                d_k += (d_both * q[:, None]).sum(2)
                d_query[at] = d_both.mul_(k[:, :, None]).sum(1)
                d1 = d1.view(-1, candidates, units).sum(1)
                d_k.view(-1, dim).addmm_(d1, of_keys.t())
                d_of_keys.addmm_(k.view(-1, dim).t(), d1)
                d_keys[at, :steps] = d_k
        d_query += torch.matmul(d_added, of_query.t())
        d_added = d_added.view(-1, units)
        d_of_query = torch.mm(query.view(-1, dim).t(), d_added)
        d_kernel = torch.cat(
            [d_of_query, d_of_keys, d_of_query - d_of_keys, d_of_both]
        )
        return (
            d_query,
            d_keys,
            None,
            None,
            None,
            d_scorer,
            d_bias,
            d_kernel,
            d_kernel2,
            d_added.sum(0),
            d_bias2,
        )


def augru(work, weights):
    def call(inputs, variables, training):
        return _AUGRU.apply(*inputs, *variables)

    return call, variables(weights)


def bilstm(work, weights):
    net = torch.nn.LSTM(
        work.dim, work.units, batch_first=True, bidirectional=True
    )
    zeros = torch.zeros(4 * work.units)

    def call(inputs, variables, training):
        x, _ = inputs  # all steps count
        mine = [w.t().contiguous() if w.ndim == 2 else w for w in variables]
        flat = [*mine[:3], zeros, *mine[3:], zeros]
        names = [n for way in net._all_weights for n in way]
        values = dict(zip(names, flat, strict=True))
        return torch.func.functional_call(net, values, (x,))[0]

    return call, variables(weights)


def transformer(work, weights):
    heads, blinding = work["heads"], work["blinding"]

    def call(inputs, variables, training):
        x, lengths = inputs
        output = torch.zeros_like(x)
        for i, steps in enumerate(
            lengths.clamp(0, work.steps).view(-1).tolist()
        ):
            output[i, :steps] = attend(x[i, :steps], variables)
        return output

    def attend(x, variables):
        q, k, v = (
            (x @ w).view(1, len(x), heads, -1).transpose(1, 2)
            for w in variables
        )
        mask = None
        if blinding:
            mask = torch.zeros(1, 1, len(x), len(x))
            mask[0, 0].fill_diagonal_(-torch.inf)
        out = F.scaled_dot_product_attention(q, k, v, mask)
        return out.transpose(1, 2).reshape(len(x), -1)

    return call, variables(weights)


def pooling(work, weights):
    mode = work["mode"]

    def call(inputs, variables, training):
        x, lengths = inputs
        if mode == "max":
            return _Max.apply(x, lengths)
        share = valid_steps(x, lengths).to(x.dtype)
        if mode == "mean":
            share /= lengths
        return _WeightedSum.apply(x, share)

    return call, []


def weighted(work, weights):
    def call(inputs, variables, training):
        x, lengths, scores = inputs
        shown = scores[..., 0].masked_fill(~valid_steps(x, lengths), -torch.inf)
        return _WeightedSum.apply(x, shown.softmax(1))

    return call, []


class _Steps:
    """The steps that count, packed one after the other, longest first."""

    def __init__(self, lengths, steps):
        lengths = lengths.reshape(-1).clamp(0, steps)
        lengths, self.order = torch.sort(lengths, descending=True)
        valid = torch.arange(steps)[:, None] < lengths
        t, at = valid.nonzero(as_tuple=True)
        counts = valid.sum(1)
        # Where a packed step is in a sequence laid out flat.
        self.rows = self.order[at] * steps + t
        self.examples = at
        self.first = int(counts[0])
        # Where the step before it is; wrong for the first ones.
        self.before = (torch.arange(len(t)) - counts[t - 1]).clamp(0)
        offsets = counts.cumsum(0) - counts
        some = lengths[: self.first]
        self.last = offsets[some - 1] + torch.arange(self.first)
        self.counts = counts[counts > 0].tolist()

    def gather(self, x):
        return x.reshape(-1, x.shape[-1]).index_select(0, self.rows)

    def scatter(self, packed, like):
        out = torch.zeros_like(like)
        out.view(-1, like.shape[-1]).index_copy_(0, self.rows, packed)
        return out


class _AUGRU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, lengths, scores, kernel, bias, kernel_c, bias_c):
        dim, units = x.shape[-1], bias_c.shape[0]
        steps = _Steps(lengths, x.shape[1])
        counts = steps.counts
        packed = steps.gather(x)
        kept = 1 - steps.gather(scores)
        gates = torch.addmm(bias, packed, kernel[:dim])
        c = torch.addmm(bias_c, packed, kernel_c[:dim])
        shape = (len(packed), units)
        h, reset, stay = (torch.empty(shape) for _ in range(3))
        state = torch.zeros(len(x), units)
        of_gates, of_candidate = kernel[dim:], kernel_c[dim:]
        r, u = gates[:, :units], gates[:, units:]
        old = state
        for count, gates_t, r_t, u_t, c_t, reset_t, stay_t, kept_t, h_t in zip(
            counts,
            *(y.split(counts) for y in (gates, r, u, c, reset, stay, kept, h)),
            strict=True,
        ):
            old = old[:count]
            gates_t.addmm_(old, of_gates).sigmoid_()
            torch.mul(r_t, old, out=reset_t)
            c_t.addmm_(reset_t, of_candidate).tanh_()
            torch.mul(u_t, kept_t, out=stay_t)
            torch.lerp(c_t, old, stay_t, out=h_t)
            old = h_t
        state[steps.order[: steps.first]] = h[steps.last]
        ctx.steps = steps
        ctx.save_for_backward(
            x,
            scores,
            kernel,
            kernel_c,
            packed,
            gates,
            c,
            reset,
            stay,
            kept,
            h,
        )
        return state[:, None]

    @staticmethod
    def backward(ctx, upstream):
        x, scores, kernel, kernel_c, packed, gates, c, reset, stay, kept, h = (
            ctx.saved_tensors
        )
        steps = ctx.steps
        counts = steps.counts
        dim, units = x.shape[-1], c.shape[1]
        r, u = gates[:, :units], gates[:, units:]
        old = h.index_select(0, steps.before)
        old[: steps.first] = 0
        of_score = (old - c) * u
        to_r = r * (1 - r) * old
        to_u = (1 - u) * of_score * kept
        to_c = (1 - stay) * (1 - c * c)
        # Each step's own upstream, until a later step of the sequence is done.
        dh = upstream[:, 0][steps.order].index_select(0, steps.examples)
        d_gates, d_c = torch.empty_like(gates), torch.empty_like(c)
        d_reset = torch.empty_like(c[: steps.first])
        of_gates, of_candidate = kernel[dim:].t(), kernel_c[dim:].t()
        lists = [
            y.split(counts)
            for y in (
                dh,
                d_gates,
                d_gates[:, :units],
                d_gates[:, units:],
                d_c,
                r,
                stay,
                to_r,
                to_u,
                to_c,
            )
        ]
        pairs = zip(lists[0], counts[1:], strict=False)
        before = [None, *(y[:n] for y, n in pairs)]
        for (
            b,
            n,
            dh_t,
            d_gates_t,
            d_r,
            d_u,
            d_c_t,
            r_t,
            stay_t,
            f_r,
            f_u,
            f_c,
        ) in zip(
            reversed(before),
            reversed(counts),
            *(reversed(y) for y in lists),
            strict=True,
        ):
            torch.mul(dh_t, f_c, out=d_c_t)
            d_reset_t = d_reset[:n]
            torch.mm(d_c_t, of_candidate, out=d_reset_t)
            torch.mul(d_reset_t, f_r, out=d_r)
            torch.mul(dh_t, f_u, out=d_u)
            if b is not None:
                torch.mul(dh_t, stay_t, out=b)
                b.addcmul_(d_reset_t, r_t).addmm_(d_gates_t, of_gates)
        d_scores = (dh * of_score).sum(-1, keepdim=True).neg_()
        d_packed = torch.mm(d_gates, kernel[:dim].t())
        d_packed.addmm_(d_c, kernel_c[:dim].t())
        d_kernel = torch.cat([packed.t() @ d_gates, old.t() @ d_gates])
        d_kernel_c = torch.cat([packed.t() @ d_c, reset.t() @ d_c])
        return (
            steps.scatter(d_packed, x),
            None,
            steps.scatter(d_scores, scores),
            d_kernel,
            d_gates.sum(0),
            d_kernel_c,
            d_c.sum(0),
        )


class _WeightedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, share):
        ctx.save_for_backward(x, share)
        return torch.bmm(share[:, None], x)

    @staticmethod
    def backward(ctx, upstream):
        x, share = ctx.saved_tensors
        d_share = None
        if ctx.needs_input_grad[1]:
            d_share = torch.bmm(x, upstream.transpose(1, 2))[..., 0]
        return share[..., None] * upstream, d_share


class _Max(torch.autograd.Function):
    """Some examples at a time, for the cache; equal largest ones all learn."""

    @staticmethod
    def forward(ctx, x, lengths):
        hidden = torch.zeros(x.shape[:2])
        hidden.masked_fill_(~valid_steps(x, lengths), -torch.inf)
        hidden = hidden[..., None]
        output = torch.empty_like(x[:, :1])
        for out, *some in _slices(output, x, hidden):
            torch.amax(torch.add(*some), 1, keepdim=True, out=out)
        ctx.save_for_backward(x, hidden, output)
        return output

    @staticmethod
    def backward(ctx, upstream):
        x, hidden, output = ctx.saved_tensors
        dx = torch.empty_like(x)
        for d, up, out, *some in _slices(dx, upstream, output, x, hidden):
            # Into floats: what is made of bools takes twice the time.
            torch.mul(torch.add(*some).eq_(out), up, out=d)
        return dx, None


def _slices(*tensors, size=32):
    return zip(*(x.split(size) for x in tensors), strict=True)


def valid_steps(x, lengths):
    return torch.arange(x.shape[1]) < lengths


def _cut(kernel, dim):
    """DIN's first kernel, for the query, the keys and their product."""
    of_query, of_keys, apart, of_both = kernel.split(dim)
    return of_query + apart, of_keys - apart, of_both


def _fold(query, of_keys, of_both):
    """Each example's own kernel, of all candidates side by side."""
    # (B, E, K, units)
    q = query.transpose(1, 2).contiguous()[..., None]
    folded = torch.addcmul(of_keys[:, None], q, of_both[:, None])
    return folded.view(len(query), of_keys.shape[0], -1)


def _sigmoid_backward_(gradient, output):
    torch.ops.aten.sigmoid_backward.grad_input(
        gradient, output, grad_input=gradient
    )


def variables(weights):
    return [torch.from_numpy(w).requires_grad_() for w in weights]
