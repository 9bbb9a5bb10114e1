# Speaks to a Ceph cluster for Bascule through librados and librbd, the libraries of the ceph command itself. It reads one
# request per line (JSON) and answers each with one line, until its input ends. It decides nothing.
#
# The ceph command cannot do what stat does: send one request to every placement group within milliseconds, with an account
# that may read no guest's disk.
import json
import os
import sys
import threading

try:
    import rados
except ImportError as e:
    print(json.dumps({"error": {"missing": str(e)}}), flush=True)
    os._exit(1)

cluster = None


def connect(q):
    global cluster
    options = dict(q["options"], log_to_stderr="false", err_to_stderr="false")
    cluster = rados.Rados(rados_id=q["client"], conffile=q["conf"] or None, conf=options)
    cluster.connect()
    return {"self": cluster.get_addrs(), "fsid": cluster.get_fsid()}


def mon(q):
    """All commands at the same time: a monitor writes them down together, one after the other each waits a second."""
    results = [None] * len(q["commands"])

    def run(i, command):
        ret, out, status = cluster.mon_command(json.dumps(command), b"")
        results[i] = {"ret": ret, "out": out.decode("utf-8", "replace"), "status": status}

    each(list(enumerate(q["commands"])), len(results), lambda x: run(*x))
    return {"results": results}


def stat(q):
    """Requests that carry the newest map of the monitors; no answer within the time is null."""
    cluster.wait_for_latest_osdmap()
    ioctx = cluster.open_ioctx(q["pool"])
    names, got, done, lock = q["objects"], {}, threading.Event(), threading.Lock()

    def answered(name):
        def keep(completion, size, mtime):
            with lock:
                got[name] = completion.get_return_value()
                if len(got) == len(names):
                    done.set()
        return keep

    waiting = [ioctx.aio_stat(n, answered(n)) for n in names]
    done.wait(max(0.0, q["seconds"]))
    with lock:
        return {"rets": [got.get(n) for n in names], "pending": len(waiting) - len(got)}


def watchers(q):
    """Who has an image of the pool open: one entry per watcher."""
    import rbd  # only here: it takes a while

    found, lock = [], threading.Lock()
    ioctx = cluster.open_ioctx(q["pool"])
    namespaces = [""] + list(rbd.RBD().namespace_list(ioctx))
    images = []
    for ns in namespaces:
        io = cluster.open_ioctx(q["pool"])
        io.set_namespace(ns)
        images += [(io, ns, name) for name in rbd.RBD().list(io)]

    def look(x):
        io, ns, name = x
        try:
            with rbd.Image(io, name, read_only=True) as image:
                seen = [w["addr"] for w in image.watchers_list()]
        except rbd.ImageNotFound:
            return  # removed meanwhile
        with lock:
            found.extend({"image": "/".join(filter(None, [q["pool"], ns, name])), "addr": a} for a in seen)

    each(images, 16, look)
    return {"images": len(images), "watchers": found}


def each(items, workers, run):
    """Runs them side by side; the first error ends it."""
    items, errors, lock = list(items), [], threading.Lock()

    def work():
        while True:
            with lock:
                if errors or not items:
                    return
                x = items.pop(0)
            try:
                run(x)
            except Exception as e:
                with lock:
                    errors.append(e)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(workers, len(items)))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]


ops = {"connect": connect, "mon": mon, "stat": stat, "watchers": watchers}
for line in sys.stdin:
    try:
        q = json.loads(line)
        answer = ops[q["op"]](q)
    except Exception as e:
        answer = {"error": {"errno": abs(getattr(e, "errno", None) or 0), "text": "%s: %s" % (type(e).__name__, e)}}
    print(json.dumps(answer), flush=True)
os._exit(0)  # closing in order may wait for a cluster that does not answer
