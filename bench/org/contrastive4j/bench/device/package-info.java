/** Benchmarks of devices: they need no peer, so they run on a host that has only a driver. */
package org.contrastive4j.bench.device;
