# The standard library alone: urllib, and lines of bytes.
import http.client
import json
import sys
import time
import urllib.request

last_event_id, retry = "", 1
while True:
    request = urllib.request.Request(sys.argv[1], headers={"Accept": "text/event-stream"})
    request.add_header("Last-Event-ID", last_event_id)
    block = {}
    try:
        with urllib.request.urlopen(request) as stream:
            for line in stream:
                field, _, value = line.decode().rstrip("\n").partition(": ")
                if field:
                    block[field] = value
                    continue
                last_event_id = block.get("id", last_event_id)
                retry = int(block.get("retry", retry * 1000)) / 1000
                print(json.dumps(json.loads(block["data"])), flush=True)
                block = {}
    except (OSError, http.client.HTTPException) as error:
        print(error, file=sys.stderr)
    time.sleep(retry)
