package org.contrastive4j.cli;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.contrastive4j.device.PtxDevice;

/**
 * A structure by value: its members with the alignment that C gives them, or its bytes.
 *
 * @param bytes as the kernel reads them
 */
record StructArgument(List<Byte> bytes) implements LaunchArgument {
    /** {@code struct:f32:1.5,i32:7} or {@code bytes:00ff}. */
    static StructArgument parse(String text) {
        String members = text.substring(text.indexOf(':') + 1);
        if (text.startsWith("bytes:")) {
            return of(HexFormat.of().parseHex(members));
        }
        int end = 0;
        int alignment = 1;
        ByteBuffer buffer = ByteBuffer.allocate(8 * members.length() + 8).order(ByteOrder.LITTLE_ENDIAN);
        for (String member : members.split(",", -1)) {
            String[] parts = member.split(":", -1);
            if (parts.length != 2) {
                throw new IllegalArgumentException("member is \"" + member + "\", expected TYPE:VALUE");
            }
            Element element = Element.of(parts[0]);
            end = align(end, element.bytes());
            element.put(buffer.position(end), element.parse(parts[1]));
            end += element.bytes();
            alignment = Math.max(alignment, element.bytes());
        }
        byte[] bytes = new byte[align(end, alignment)];
        buffer.get(0, bytes);
        return of(bytes);
    }

    private static int align(int at, int alignment) {
        return (at + alignment - 1) & -alignment;
    }

    private static StructArgument of(byte[] bytes) {
        List<Byte> list = new ArrayList<>();
        for (byte one : bytes) {
            list.add(one);
        }
        return new StructArgument(list);
    }

    @Override
    public Object value(PtxDevice device, long seed, Object[] others) {
        byte[] array = new byte[bytes.size()];
        for (int i = 0; i < array.length; i++) {
            array[i] = bytes.get(i);
        }
        return array;
    }
}
