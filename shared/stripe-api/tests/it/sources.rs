//! Every call is built by async-stripe's typed builders: nothing here writes Stripe's paths or forms by hand.

use std::fs;
use std::path::Path;

const BY_HAND: [&str; 18] = [
    "/v1/",
    "\"/billing_portal",
    "\"/checkout",
    "/checkout/sessions",
    "\"/customers",
    "\"/products",
    "\"/prices",
    "\"/refunds",
    "\"/disputes",
    "\"/invoices",
    "\"/payment_",
    "\"/setup_intents",
    "\"/subscription",
    "RequestBuilder::new",
    "metadata[",
    "line_items[",
    "items[0]",
    "phases[",
];

#[test]
fn no_path_or_form_of_stripe_is_written_by_hand() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut read = 0;
    for file in fs::read_dir(sources).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for phrase in BY_HAND {
            assert!(!text.contains(phrase), "{} contains {phrase:?}", path.display());
        }
        read += 1;
    }
    assert!(read > 5, "the sources moved");
}
