package org.contrastive4j.internal.cuda;

import java.nio.ByteBuffer;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice.DeviceStorage;

/**
 * Copies Java buffers to the device in the order of one stream, through pieces of pinned memory that are used in turn:
 * a piece is waited for only when it is needed again and its last copy has not been done yet.
 */
final class StagingRing implements AutoCloseable {
    private static final int PIECES = 4;
    private static final int BYTES = 4 << 20;

    private final CudaStream stream;
    private final CudaPinned[] pieces = new CudaPinned[PIECES];
    private final DeviceStream.Event[] copied = new DeviceStream.Event[PIECES];
    private int next;

    StagingRing(CudaStream stream) {
        this.stream = stream;
    }

    synchronized void upload(ByteBuffer source, DeviceStorage target, long at) {
        for (long to = at; source.hasRemaining(); ) {
            int part = Math.min(source.remaining(), BYTES);
            int turn = next;
            next = (next + 1) % PIECES;
            CudaPinned piece = free(turn);
            piece.bytes().duplicate().put(source.duplicate().limit(source.position() + part));
            stream.upload(piece, 0, target, to, part);
            copied[turn] = stream.record();
            source.position(source.position() + part);
            to += part;
        }
    }

    /** The piece of a turn, when its last copy is done. */
    private CudaPinned free(int turn) {
        if (pieces[turn] == null) {
            pieces[turn] = CudaPinned.allocate(stream.device(), BYTES);
        }
        if (copied[turn] != null) {
            copied[turn].synchronize();
            copied[turn].close();
            copied[turn] = null;
        }
        return pieces[turn];
    }

    /** Gives the pieces back; the stream has done its work. */
    @Override
    public synchronized void close() {
        for (int turn = 0; turn < PIECES; turn++) {
            if (copied[turn] != null) {
                copied[turn].close();
            }
            if (pieces[turn] != null) {
                pieces[turn].close();
            }
        }
    }
}
