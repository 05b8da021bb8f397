#!/usr/bin/env bash
# A loop around curl that goes on behind the last event that came whole.
last=
while :; do
  id= data=
  while IFS= read -r line; do
    case $line in
      'data: '*) data=${line#data: } ;;
      'id: '*) id=${line#id: } ;;
      '')
        last=${id:-$last}
        printf '%s\n' "$data"
        id= data=
        ;;
    esac
  done < <(curl -sfN -H 'Accept: text/event-stream' -H "Last-Event-ID: $last" "$1")
  sleep 1
done
