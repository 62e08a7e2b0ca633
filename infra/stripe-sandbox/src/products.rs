//! `/v1/products`.

use serde_json::{Value, json};

use crate::call::Call;
use crate::failure::{Answer, Failure};
use crate::ids;
use crate::list::{Query, search as search_objects};
use crate::params::Params;
use crate::prices;
use crate::tx::{Tx, id_of};

const CLEARABLE: [&str; 4] = ["description", "statement_descriptor", "unit_label", "url"];
const UNSUPPORTED: [&str; 2] = ["package_dimensions", "tax_details"];

pub fn create(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let default_price = params.section("default_price_data")?;
    let product = insert(tx, params)?;
    match default_price {
        Some(section) => with_default_price(tx, product, section),
        None => Ok(product),
    }
}

/// Also what `product_data` of a price or of a line item makes.
pub fn insert(tx: &Tx, mut params: Params) -> Answer<Value> {
    let name = params.required("name")?;
    let id = params.text("id")?;
    if let Some(id) = &id
        && tx.find("product", id)?.is_some()
    {
        let failure = Failure::conflict("Product already exists.").code("resource_already_exists");
        return Err(failure.param("id"));
    }
    let mut product = json!({
        "id": id.unwrap_or_else(|| ids::fresh("prod")),
        "object": "product",
        "active": true,
        "attributes": [],
        "created": tx.now(),
        "default_price": null,
        "description": null,
        "images": [],
        "livemode": false,
        "marketing_features": [],
        "metadata": {},
        "name": name,
        "package_dimensions": null,
        "shippable": null,
        "statement_descriptor": null,
        "tax_code": null,
        "type": params.one_of("type", &["good", "service"])?.unwrap_or_else(|| "service".into()),
        "unit_label": null,
        "updated": tx.now(),
        "url": null,
    });
    apply(&mut product, &mut params)?;
    params.finish()?;
    tx.insert(&product, &Value::Null)?;
    tx.emit("product.created", &product)?;
    Ok(product)
}

fn with_default_price(tx: &Tx, product: Value, mut section: Params) -> Answer<Value> {
    let price = prices::insert(tx, &mut section, id_of(&product))?;
    section.finish()?;
    let mut updated = product.clone();
    updated["default_price"] = price["id"].clone();
    tx.update(&product, &updated, "product.updated")?;
    Ok(updated)
}

pub fn retrieve(call: Call) -> Answer<Value> {
    call.params.finish()?;
    call.tx.get_alive("product", call.id)
}

pub fn update(call: Call) -> Answer<Value> {
    let (tx, mut params) = (call.tx, call.params);
    let before = tx.get_alive("product", call.id)?;
    let mut product = before.clone();
    if let Some(name) = params.text("name")? {
        product["name"] = json!(name);
    }
    if let Some(id) = params.text("default_price")? {
        tx.reference("price", &id, "default_price")?;
        product["default_price"] = json!(id);
    }
    apply(&mut product, &mut params)?;
    params.finish()?;
    if product != before {
        product["updated"] = json!(tx.now());
    }
    tx.update(&before, &product, "product.updated")?;
    Ok(product)
}

/// Only a product without prices can be deleted.
pub fn delete(call: Call) -> Answer<Value> {
    call.params.finish()?;
    let tx = call.tx;
    let product = tx.get_alive("product", call.id)?;
    let mut prices = Query::of("price");
    prices.equal("product", Some(call.id.to_owned()));
    if !prices.all(tx)?.is_empty() {
        let message = "This product has prices, so it cannot be deleted. Set active=false to archive it.";
        return Err(Failure::conflict(message).param("id"));
    }
    let stub = json!({"id": call.id, "object": "product", "deleted": true});
    tx.save(&stub)?;
    tx.emit("product.deleted", &product)?;
    Ok(stub)
}

pub fn list(call: Call) -> Answer<Value> {
    let mut params = call.params;
    let mut query = Query::of("product");
    query.is("active", params.boolean("active")?);
    query.is("shippable", params.boolean("shippable")?);
    query.equal("url", params.text("url")?);
    query.equal("type", params.text("type")?);
    query.any_of("id", params.texts("ids")?);
    query.created(&mut params)?;
    query.page(call.tx, params, "/v1/products")
}

pub fn search(call: Call) -> Answer<Value> {
    search_objects(call.tx, call.params, "product", "/v1/products/search", &["name", "description", "url"])
}

fn apply(product: &mut Value, params: &mut Params) -> Answer<()> {
    params.refuse(&UNSUPPORTED)?;
    for name in CLEARABLE {
        if let Some(text) = params.clearable(name)? {
            product[name] = json!(text);
        }
    }
    if let Some(code) = params.clearable("tax_code")? {
        product["tax_code"] = json!(code);
    }
    for name in ["active", "shippable"] {
        if let Some(flag) = params.boolean(name)? {
            product[name] = json!(flag);
        }
    }
    if let Some(images) = params.texts("images")? {
        product["images"] = json!(images);
    }
    if let Some(features) = params.sections("marketing_features")? {
        let mut named = Vec::new();
        for mut feature in features {
            named.push(json!({"name": feature.required("name")?}));
            feature.finish()?;
        }
        product["marketing_features"] = json!(named);
    }
    product["metadata"] = params.metadata(product["metadata"].take())?;
    Ok(())
}
