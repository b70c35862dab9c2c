/** PTX text to a program: preprocessor, lexer, parser. Knows the grammar, not what an instruction does. */
package org.contrastive4j.internal.parse;
