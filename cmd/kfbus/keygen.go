package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/pkg/kfcrypto"
)

func keygenCommand(s std) *cobra.Command {
	var o output
	var check string
	length := 32
	c := &cobra.Command{Use: "keygen", Short: "make a callback Token and EncodingAESKey, or check one", Args: none,
		Long: `keygen prints a new callback Token and EncodingAESKey, for the form 接收消息 → 设置API接收 of the admin console and
for the ingress. They are secrets: put them into files, and name those in KF_INGRESS_CALLBACK_TOKEN_FILE and
KF_INGRESS_ENCODING_AES_KEY_FILE.`,
		Example: "  kfbus keygen\n  kfbus keygen --check jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C",
		RunE: func(*cobra.Command, []string) error {
			if check != "" {
				if _, err := kfcrypto.ParseKey(check); err != nil {
					return usage(err)
				}
				return o.print(s.out, map[string]bool{"ok": true}, "ok: 43 characters that decode to 32 bytes")
			}
			token, err := kfcrypto.GenerateCallbackToken(length)
			if err != nil {
				return usage(err)
			}
			key := kfcrypto.GenerateKey()
			return o.print(s.out, map[string]string{"token": token.Reveal(), "encoding_aes_key": key.Reveal()},
				fmt.Sprintf("Token:           %s\nEncodingAESKey:  %s", token.Reveal(), key.Reveal()))
		}}
	c.Flags().StringVar(&check, "check", "", "check this EncodingAESKey instead")
	c.Flags().IntVar(&length, "length", length, "characters of the Token, 1 to 32")
	o.flag(c)
	return c
}
