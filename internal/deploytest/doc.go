// Package deploytest holds what is shipped to what it promises: the image, compose.yaml, and the system that it starts, while
// containers are killed, frozen, cut off and restarted. Its tests need Docker, the compose plugin and the images that make
// container makes, and so the build tag container.
package deploytest
