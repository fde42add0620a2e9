#!/usr/bin/env bash
# What a GPU does for real: decodes and scales four rungs for x264, against the processor alone; opens NVENC, or says why
# not; and lets the worker's doctor look. Prints versions, timings and PSNR between rungs scaled by either.
#
#   tests/device/cuda.sh FFMPEG [reelmill-worker [FFPROBE]]
#
# FFMPEG needs scale_cuda and hwdownload; nothing is installed, and all that is written goes into a temporary folder.
# Takes less than three minutes.
set -uo pipefail

ffmpeg=${1:?the path of an ffmpeg with scale_cuda}
worker=${2:-}
ffprobe=${3:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

section() { printf '\n== %s\n' "$1"; }
run() { "$ffmpeg" -nostdin -hide_banner -loglevel error -y "$@"; }
seconds() { # seconds TITLE COMMAND...: tells the wall-clock and processor time of a command
  local title=$1
  shift
  local TIMEFORMAT='%R s wall, %U s user, %S s system'
  { time "$@"; } 2>"$folder/said" && printf '%-44s %s\n' "$title" "$(tail -n 1 "$folder/said")" && return
  printf '%-44s FAILED\n' "$title"
  sed 's/^/    /' "$folder/said"
  failed=1
}

section "machine"
grep -m 1 'model name' /proc/cpuinfo | sed 's/.*: //'
nproc | sed 's/$/ processors/'
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null || head -n 1 /proc/driver/nvidia/version
ls -l /dev/nvidia* 2>/dev/null
ldconfig -p 2>/dev/null | grep -E 'libcuda\.so|libnvcuvid|libnvidia-encode' || echo "no NVIDIA library in the linker's cache"
"$ffmpeg" -hide_banner -version | head -n 1

section "source: 20 s of 1080p at 30 frames, H.264, and two seconds each of other codecs"
run -f lavfi -i "testsrc2=size=1920x1080:rate=30,noise=alls=8:allf=t" -t 20 -c:v libx264 -preset veryfast -crf 18 -g 60 \
  -pix_fmt yuv420p "$folder/source.mp4" || exit 1
ls -l "$folder/source.mp4" | awk '{ print $5 " bytes" }'
clip() { run -ss 0 -t 2 -i "$folder/source.mp4" "${@:2}" "$folder/$1"; }
clip hevc8.mp4 -c:v libx265 -preset ultrafast -x265-params log-level=none -pix_fmt yuv420p
clip hevc10.mp4 -c:v libx265 -preset ultrafast -x265-params log-level=none -pix_fmt yuv420p10le
clip av1.mp4 -c:v libsvtav1 -preset 12 -pix_fmt yuv420p 2>/dev/null
clip vp9.webm -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -pix_fmt yuv420p
clip mpeg2.ts -c:v mpeg2video -q:v 4 -pix_fmt yuv420p
clip interlaced.mp4 -vf tinterlace=interleave_top,setfield=tff -c:v libx264 -preset veryfast -flags +ildct+ilme -pix_fmt yuv420p
clip hi10p.mp4 -c:v libx264 -preset veryfast -pix_fmt yuv420p10le
clip 422.mp4 -c:v libx264 -preset veryfast -pix_fmt yuv422p

device=(-init_hw_device cuda=gpu -filter_hw_device gpu)
gpu=("${device[@]}" -hwaccel cuda -hwaccel_device gpu -hwaccel_output_format cuda -threads 1 -extra_hw_frames 8)
rungs="1920:1080 1280:720 854:480 640:360"
cpu_graph='[0:v]fps=30,split=4[a][b][c][d]'
gpu_graph=$cpu_graph
pads=(a b c d)
n=0
for rung in $rungs; do
  pad=${pads[n]}
  cpu_graph+=";[$pad]scale=$rung:flags=bicubic,setsar=1,format=yuv420p[v$n]"
  gpu_graph+=";[$pad]scale_cuda=w=${rung%:*}:h=${rung#*:}:interp_algo=bicubic:format=nv12,hwdownload,format=nv12,setsar=1,format=yuv420p[v$n]"
  n=$((n + 1))
done
outputs() { # outputs KIND ENCODER...: the four rungs, each encoded so
  local kind=$1
  shift
  for n in 0 1 2 3; do printf '%s\n' -map "[v$n]" "$@" "$folder/$kind-$n.mkv"; done
}

section "four rungs by x264 (preset fast)"
mapfile -t x264 < <(outputs x264 -c:v libx264 -preset fast -crf 23 -g 120)
seconds "decoded and scaled by the processor" run -i "$folder/source.mp4" -filter_complex "$cpu_graph" "${x264[@]}"
seconds "decoded and scaled by the GPU" run "${gpu[@]}" -i "$folder/source.mp4" -filter_complex "$gpu_graph" "${x264[@]}"

section "four rungs decoded and scaled only"
null=(-map "[v0]" -f null - -map "[v1]" -f null - -map "[v2]" -f null - -map "[v3]" -f null -)
seconds "by the processor" run -i "$folder/source.mp4" -filter_complex "$cpu_graph" "${null[@]}"
seconds "by the GPU, fetched" run "${gpu[@]}" -i "$folder/source.mp4" -filter_complex "$gpu_graph" "${null[@]}"
kept=${gpu_graph//,hwdownload,format=nv12,setsar=1,format=yuv420p/,setsar=1}
seconds "by the GPU, left there" run "${gpu[@]}" -i "$folder/source.mp4" -filter_complex "$kept" \
  -map "[v0]" -c:v wrapped_avframe -f null - -map "[v1]" -c:v wrapped_avframe -f null - \
  -map "[v2]" -c:v wrapped_avframe -f null - -map "[v3]" -c:v wrapped_avframe -f null -
seconds "decoded only, by the GPU" run "${gpu[@]}" -i "$folder/source.mp4" -c:v wrapped_avframe -f null -

section "PSNR between rungs scaled by the GPU and by the processor (1 s)"
for rung in $rungs; do
  for kind in cpu gpu; do
    if [ $kind = cpu ]; then
      run -t 1 -i "$folder/source.mp4" -vf "scale=$rung:flags=bicubic,format=yuv420p" -c:v ffv1 "$folder/$kind.mkv"
    else
      run "${gpu[@]}" -t 1 -i "$folder/source.mp4" \
        -vf "scale_cuda=w=${rung%:*}:h=${rung#*:}:interp_algo=bicubic:format=nv12,hwdownload,format=nv12,format=yuv420p" \
        -c:v ffv1 "$folder/$kind.mkv"
    fi
  done
  printf '%-10s ' "$rung"
  "$ffmpeg" -nostdin -hide_banner -i "$folder/gpu.mkv" -i "$folder/cpu.mkv" -lavfi psnr -f null - 2>&1 | grep -oE 'PSNR .*' || echo "no figure"
done

section "what the GPU decodes"
for file in hevc8.mp4 hevc10.mp4 av1.mp4 vp9.webm mpeg2.ts interlaced.mp4 hi10p.mp4 422.mp4; do
  [ -s "$folder/$file" ] || { printf '%-16s not made by this ffmpeg\n' "$file"; continue; }
  format=nv12
  [ $file = hevc10.mp4 ] && format=p010le
  if run "${gpu[@]}" -i "$folder/$file" -vf "scale_cuda=w=640:h=360:format=$format,hwdownload,format=$format" -f null - 2>"$folder/said"; then
    printf '%-16s decoded and scaled\n' "$file"
  else
    printf '%-16s refused: %s\n' "$file" "$(head -n 1 "$folder/said")"
  fi
done
for filter in yadif_cuda bwdif_cuda transpose_cuda=dir=clock; do
  if run "${gpu[@]}" -i "$folder/interlaced.mp4" -vf "$filter,scale_cuda=w=640:h=360,hwdownload,format=nv12" -f null - 2>"$folder/said"; then
    printf '%-22s works\n' "$filter"
  else
    printf '%-22s refused: %s\n' "$filter" "$(head -n 1 "$folder/said")"
  fi
done
seconds "hwupload_cuda, scale_cuda from software decode" run "${device[@]}" -i "$folder/422.mp4" \
  -vf "format=nv12,hwupload_cuda,scale_cuda=w=640:h=360:format=nv12,hwdownload,format=nv12" -f null -

section "NVENC"
for encoder in h264_nvenc hevc_nvenc av1_nvenc; do
  if run -f lavfi -i testsrc2=size=1280x720:rate=30 -frames:v 30 -pix_fmt nv12 -c:v $encoder -preset p4 -tune hq -rc vbr -cq 28 \
    -b:v 0 -g 30 -bf 2 -no-scenecut 1 -strict_gop 1 -forced-idr 1 -f null - 2>"$folder/said"; then
    printf '%-12s encodes\n' $encoder
  else
    printf '%-12s refused:\n' $encoder
    sed 's/^/    /' "$folder/said"
  fi
done

if [ -n "$worker" ]; then
  section "the worker, confined as in operation"
  export REELMILL_FFMPEG=$ffmpeg HWACCEL=auto REELMILL_LOG=reelmill_worker=debug PRESET=hls-ladder
  [ -n "$ffprobe" ] && export REELMILL_FFPROBE=$ffprobe
  printf '[media]\nreadable = ["%s"]\n' "$(dirname "$(readlink -f "$ffmpeg")")" >"$folder/worker.toml"
  time "$worker" --config "$folder/worker.toml" doctor
  echo "doctor ended with $?"
  mkdir -p "$folder/out" && chmod 777 "$folder" "$folder/out"
  export REELMILL_FILE_ROOTS=$folder REELMILL_OUTPUT_ROOTS=$folder
  printf '{"input":"file://%s/source.mp4","output":"file://%s/out/","preset":"hls-ladder"}\n' "$folder" "$folder" |
    "$worker" --config "$folder/worker.toml" one >"$folder/events" 2>"$folder/log"
  echo "a ladder ended with $?"
  tail -n 1 "$folder/events" | cut -c 1-4000
  tail -n 20 "$folder/log"
fi
exit $failed
