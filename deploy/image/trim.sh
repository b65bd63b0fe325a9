#!/bin/sh
# Makes an environment smaller by what no process of ours ever reads. Usage: trim.sh ENVIRONMENT
set -eu
cd "$1"/lib/python3*/site-packages

for package in numpy scipy pandas sklearn statsmodels matplotlib; do
  [ ! -d $package ] || find $package -type d -name tests -prune -exec rm -rf {} +
done
# What type checkers read, and what extensions and stubs are made of.
find . -type f \( -name '*.proto' -o -name '*.py[ix]' -o -name '*.pxd' -o -name '*.[ach]' -o -name '*.cpp' -o -name '*.hpp' \) -delete
rm -f numpy/_core/_simd.* numpy/_core/_*_tests.*
rm -rf tensorflow/include clang numpy/_core/include numpy/distutils
# What the gateway, which only carries arrays and messages, never loads.
[ -d scipy ] || rm -rf numpy/f2py numpy/random numpy/fft numpy/ma numpy/polynomial numpy/testing pydantic/v1 \
  grpc/framework
# Training, which needs TensorFlow; what is for other loops, other servers, WebSockets, tests and type checkers.
[ -d scipy ] || rm -rf training pydantic/mypy.py h2corn/_supervisor.py h2corn/_reload.py starlette/testclient.py \
  anyio/_backends/_trio.py click/testing.py numpy/lib/recfunctions.py uvicorn/protocols/websockets/ws*_impl.py \
  uvicorn/protocols/websockets/websockets_*impl.py uvicorn/protocols/http/zttp_*.py \
  uvicorn/protocols/http/h11_*.py h11 h11-*.dist-info pydantic/experimental/pipeline.py pydantic/color.py \
  google/protobuf/testdata google/protobuf/compiler numpy/_pyinstaller numpy/doc
[ -d scipy ] || [ -n "${TRACING:-}" ] || rm -rf opentelemetry opentelemetry_*
# Its traces go out over gRPC alone, which every collector takes: HTTP needs packages as large as all the others of it.
[ -d scipy ] || rm -rf opentelemetry/exporter/otlp/proto/http
# What stores are asked with, and traces over HTTP would be.
[ -d scipy ] || [ -n "${STORES:-}" ] || rm -rf requests* urllib3* certifi* charset_normalizer* idna \
  google/api google/type google/longrunning google/logging google/cloud google/gapic
# Of all services of Amazon, the store, and those that know who asks it.
[ ! -d botocore ] || find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts ! -name 'sso*' \
  ! -name signin -exec rm -rf {} +
# Pillow reads PNG, JPEG, GIF and BMP here; it does without what other formats and fonts need.
find PIL -name '*ImagePlugin.py' ! -name Bmp\* ! -name Gif\* ! -name Jpeg\* ! -name Mpo\* ! -name Png\* ! -name Tiff\* -delete
rm -f PIL/_imagingmath.* PIL/_imagingmorph.* PIL/_avif.* PIL/_webp.* PIL/_imagingcms.* PIL/_imagingtk.*
[ -d scipy ] || rm -rf PIL/PdfParser.py PIL/ImageCms.py PIL/ImageGrab.py PIL/ImageQt.py PIL/ImageTk.py PIL/PSDraw.py \
  PIL/Jpeg2KImagePlugin.py PIL/*FontFile.py prometheus_client/twisted prometheus_client/django prometheus_client/aiohttp \
  prometheus_client/bridge prometheus_client/parser.py prometheus_client/openmetrics/parser.py \
  PIL/ImageMorph.py PIL/ImageMath.py PIL/ImageShow.py PIL/features.py \
  numpy/core numpy/matlib.py grpc/beta anyio/pytest_plugin.py uvloop/_testbase.py
(cd pillow.libs && rm -f libavif-* libwebp* libsharpyuv-* liblcms2-*)
# Training draws letters, to see whether a classifier takes them for what it knows.
[ -d scipy ] || rm -f PIL/_imagingft.* pillow.libs/libharfbuzz-* pillow.libs/libfreetype-* pillow.libs/libbrotli* \
  pillow.libs/libpng16-*
# Rich needs these to show source code and Markdown, and no command of ours does that.
rm -rf pygments markdown_it mdurl
rm -f rich/markdown.py rich/syntax.py rich/traceback.py rich/logging.py rich/layout.py rich/prompt.py rich/tree.py \
  rich/_inspect.py rich/__main__.py rich/_win32_console.py rich/_windows_renderer.py
# Of the pages that it brings, ours is the one made of swagger_*.
rm -f offapi/redoc.js offapi/scalar.js offapi/swagger_preset.js
# Of the names that OpenTelemetry has for everything, those that its own packages import.
[ ! -d opentelemetry ] || find opentelemetry/semconv/_incubating -name '*_attributes.py' ! -name otel_\* ! -name rpc_\* -delete
[ ! -d opentelemetry ] || find opentelemetry/semconv/_incubating -name '*_metrics.py' ! -name otel_\* -delete
# Lists of files, for whoever uninstalls them; and of what they were built from.
rm -rf *.dist-info/RECORD *.dist-info/sboms
# Widths of characters as older editions of Unicode had them.
find rich/_unicode_data -name 'unicode[4-9]*' -delete && find rich/_unicode_data -name 'unicode1[0-6]*' -delete
# These come with their debugger's symbols.
strip --strip-unneeded uvloop/*.so httptools/parser/*.so csimdjson*.so PIL/_imaging.*.so h2corn/*.so \
  numpy/_core/_multiarray_umath.*.so google/_upb/*.so pillow.libs/libXau-*
