#!/bin/sh
# save-mail.sh - a pipe relay: save-mail.sh FOLDER RECIPIENT ID <MESSAGE makes FOLDER/RECIPIENT/ID.eml
# SPDX-License-Identifier: MIT
# Exit codes are those of sysexits(3). A text that begins with 5.X.X makes the failure permanent.
LC_ALL=C
export LC_ALL
umask 077

refuse() {
	echo "$1"
	exit 67		# EX_NOUSER
}
later() {
	echo "4.3.0 $1"
	exit 75		# EX_TEMPFAIL
}

[ $# -eq 3 ] || { echo "usage: save-mail.sh FOLDER RECIPIENT ID"; exit 64; }
folder=$1
recipient=$2
id=$3

# The recipient was chosen by whoever sent the message, and becomes the name of a folder.
case $recipient in
'') refuse "5.1.3 No recipient" ;;
.*) refuse "5.1.3 A recipient that begins with a dot has no folder here" ;;
*/*) refuse "5.1.3 A recipient with a slash has no folder here" ;;
*[[:cntrl:]]*) refuse "5.1.3 A recipient with control characters has no folder here" ;;
esac
[ ${#recipient} -le 255 ] || refuse "5.1.3 The recipient is too long for a folder"
case $id in
'' | .* | */*) later "The message has no usable id" ;;
esac

mkdir -p "$folder/$recipient" || later "Cannot make the folder of the recipient"
unfinished=$folder/$recipient/.$id.$$
trap 'rm -f "$unfinished"' EXIT
trap 'exit 75' HUP INT TERM
{ cat >"$unfinished" && sync "$unfinished"; } || later "Cannot write the message"
mv -f "$unfinished" "$folder/$recipient/$id.eml" || later "Cannot place the message"
sync "$folder/$recipient" || later "Cannot place the message"
