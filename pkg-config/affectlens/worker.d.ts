// The worker's messages are private to the package: pass this file's address as `workerUrl`, and no more.
export {};
