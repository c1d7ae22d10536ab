//! Packets between keeper, broker and signer: what one side reads it can say again, and reads the
//! same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vault_grant::{Reply, Request};

fuzz_target!(|packet: &[u8]| {
    if let Ok(request) = postcard::from_bytes::<Request>(packet) {
        let said = postcard::to_stdvec(&request).expect("a request can be said");
        let heard: Request = postcard::from_bytes(&said).expect("what was said can be heard");
        assert_eq!(postcard::to_stdvec(&heard), Ok(said));
    }
    if let Ok(reply) = postcard::from_bytes::<Reply>(packet) {
        assert!(postcard::to_stdvec(&reply).is_ok());
    }
});
